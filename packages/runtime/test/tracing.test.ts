/** A call's spans on their way to a collector. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { testLog } from "@ordermesh/local/under-test";
import { systemClock } from "@ordermesh/mesh/clock";
import { MemoryStore } from "@ordermesh/mesh/memory-store";
import { Mesh } from "@ordermesh/mesh/mesh";
import { NotificationServiceDefinition } from "@ordermesh/proto/ordermesh/notification/v1/notification";
import { Registry } from "prom-client";
import { GrpcServer } from "../src/grpc.ts";
import { implement } from "../src/grpc-service.ts";
import { createMetrics } from "../src/metrics.ts";
import { openTracing } from "../src/tracing.ts";

type Span = {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly name: string;
  readonly status: { readonly code?: number };
};

/** Takes what an OpenTelemetry collector takes. */
async function newCollector(t: TestContext) {
  const spans: (Span & { readonly service: string })[] = [];
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    for (const { resource, scopeSpans } of JSON.parse(text).resourceSpans) {
      const name = resource.attributes.find(({ key }: { key: string }) => key === "service.name").value.stringValue;
      for (const scope of scopeSpans) for (const span of scope.spans) spans.push({ ...span, service: name });
    }
    assert.equal(request.url, "/v1/traces");
    response.end("{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans };
}

test("an attempt and its serving are two spans of one trace, the caller's", async (t) => {
  const { endpoint, spans } = await newCollector(t);
  const about = { endpoint, instance: "one", version: "v1" };
  const [caller, callee] = [
    await openTracing({ ...about, service: "shop" }),
    await openTracing({ ...about, service: "echo" }),
  ];
  const options = { log: testLog, clock: systemClock, random: Math.random };
  const fail = async () => Promise.reject(new Error("a bug"));
  const handlers = {
    listNotifications: async ({ orderId }: { orderId: string }) =>
      orderId === "" ? await fail() : { notifications: [] },
  };
  const server = new GrpcServer([implement(NotificationServiceDefinition, handlers)], {
    ...options,
    metrics: createMetrics(),
    recordSpan: callee.record,
  });
  const address = `127.0.0.1:${await server.listen("127.0.0.1", 0)}`;
  const store = new MemoryStore(systemClock);
  const facts = { adminAddress: address, version: "v1", zone: "", weight: 1, protocol: "grpc", pod: "", node: "" };
  store.put("/m/endpoints/echo/one", JSON.stringify({ service: "echo", instance: "one", address, ...facts }));
  const mesh = new Mesh({
    ...options,
    connectStore: () => store,
    prefix: "/m",
    service: "shop",
    registry: new Registry(),
    recordSpan: caller.record,
  });
  t.after(async () => {
    await mesh.close();
    server.close();
  });
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const client = mesh.client(NotificationServiceDefinition, "echo");
  await client.listNotifications({ orderId: "1" }, { traceparent });
  await assert.rejects(client.listNotifications({ orderId: "" }, { traceparent }));
  await Promise.all([caller.close(), callee.close()]);
  assert.deepEqual(new Set(spans.map(({ traceId }) => traceId)), new Set(["0af7651916cd43dd8448eb211c80319c"]));
  const sent = spans.filter(({ service }) => service === "shop");
  const served = spans.filter(({ service }) => service === "echo");
  assert.deepEqual(
    sent.map(({ parentSpanId, kind }) => [parentSpanId, kind]),
    [
      ["b7ad6b7169203331", 3],
      ["b7ad6b7169203331", 3],
    ],
  );
  assert.deepEqual(
    served.map(({ parentSpanId }) => parentSpanId),
    sent.map(({ spanId }) => spanId),
  );
  assert.deepEqual(
    served.map(({ status, kind }) => [status.code ?? 0, kind]),
    [
      [0, 2],
      [2, 2],
    ],
  );
});
