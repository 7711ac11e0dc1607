/** What a trace's collector gets to know of one attempt, or of one call that was served. The port; runtime's tracing.ts sends it on. */

export type SpanRecord = {
  /** `package.Service/Method`. */
  readonly name: string;
  readonly kind: "client" | "server";
  /** W3C trace context of the attempt or the serving itself. */
  readonly traceparent: string;
  /** Of what it is a part of; undefined at the beginning of a trace. */
  readonly parent: string | undefined;
  /** Wall clock. */
  readonly startMs: number;
  readonly endMs: number;
  /** gRPC status, such as `OK` or `UNAVAILABLE`. */
  readonly code: string;
  /** Names of OpenTelemetry's semantic conventions where they have one. */
  readonly attributes: Readonly<Record<string, string | number>>;
};

export type RecordSpan = (span: SpanRecord) => void;
