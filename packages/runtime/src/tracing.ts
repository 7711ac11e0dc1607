/** Sends spans to an OpenTelemetry collector. The only importer of OpenTelemetry, loaded when there is a collector. */
import type { RecordSpan, SpanRecord } from "@ordermesh/mesh/span";

export type Tracing = { readonly record: RecordSpan; close(): Promise<void> };

type Options = {
  /** As in OTEL_EXPORTER_OTLP_ENDPOINT; traces go to `<endpoint>/v1/traces`. */
  readonly endpoint: string;
  readonly service: string;
  readonly instance: string;
  readonly version: string;
};

const ERRORS = new Set(["UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNIMPLEMENTED"]);

/** Spans are sent in batches, and dropped when the collector does not keep up: telemetry holds nothing up. */
export async function openTracing({ endpoint, service, instance, version }: Options): Promise<Tracing> {
  const [api, sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import("@opentelemetry/api"),
    import("@opentelemetry/sdk-trace"),
    import("@opentelemetry/exporter-trace-otlp-http"),
    import("@opentelemetry/resources"),
  ]);
  const ids = new GivenIds();
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, "")}/v1/traces` });
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({
      "service.name": service,
      "service.instance.id": instance,
      "service.version": version,
    }),
    idGenerator: ids,
    spanProcessors: [new sdk.BatchSpanProcessor({ exporter })],
  });
  const tracer = provider.getTracer("ordermesh.mesh");
  const record = (span: SpanRecord) => {
    const own = parse(span.traceparent);
    if (own === undefined || (own.traceFlags & 1) === 0) return;
    ids.next = own;
    const parent = span.parent === undefined ? undefined : parse(span.parent);
    const context =
      parent === undefined
        ? api.ROOT_CONTEXT
        : api.trace.setSpanContext(api.ROOT_CONTEXT, { ...parent, isRemote: true });
    const kind = span.kind === "client" ? api.SpanKind.CLIENT : api.SpanKind.SERVER;
    const attributes = { "rpc.system.name": "grpc", "rpc.response.status_code": span.code, ...span.attributes };
    const made = tracer.startSpan(span.name, { kind, startTime: span.startMs, attributes }, context);
    if (ERRORS.has(span.code)) made.setStatus({ code: api.SpanStatusCode.ERROR });
    made.end(span.endMs);
  };
  return { record, close: () => provider.shutdown() };
}

type Ids = { readonly traceId: string; readonly spanId: string; readonly traceFlags: number };

/** The mesh has sent its ids along before a span is recorded, so spans get those. */
class GivenIds {
  next: Ids = { traceId: "", spanId: "", traceFlags: 0 };

  generateTraceId(): string {
    return this.next.traceId;
  }

  generateSpanId(): string {
    return this.next.spanId;
  }
}

function parse(traceparent: string): Ids | undefined {
  const [, traceId = "", spanId = "", flags = ""] = traceparent.split("-");
  if (traceId.length !== 32 || spanId.length !== 16) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) };
}
