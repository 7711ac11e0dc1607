/** The gRPC server against what clients really send: wrong bytes, wrong paths, wrong times, and giving up. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { connect, constants } from "node:http2";
import { type TestContext, test } from "node:test";
import { systemClock } from "@ordermesh/mesh/clock";
import { type CallContext, currentContext } from "@ordermesh/mesh/context";
import { MeshError } from "@ordermesh/mesh/errors";
import { OrderServiceDefinition } from "@ordermesh/proto/ordermesh/order/v1/order";
import {
  ChargeRequest as ChargeCodec,
  type ChargeRequest,
  PaymentServiceDefinition,
} from "@ordermesh/proto/ordermesh/payment/v1/payment";
import { GrpcServer } from "../src/grpc.ts";
import { implement } from "../src/grpc-service.ts";
import { createLogger } from "../src/log.ts";
import { createMetrics } from "../src/metrics.ts";

const CHARGE = "/ordermesh.payment.v1.PaymentService/Charge";
const WATCH = "/ordermesh.order.v1.OrderService/WatchOrder";
const good = ChargeCodec.encode({ orderId: "one", amount: undefined, paymentToken: "tok_secret" }).finish();

type Handle = (request: ChargeRequest, call: CallContext) => Promise<unknown>;

async function start(t: TestContext, handle: Handle) {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLogger({ service: "test", instance: "test", version: "", level: "debug", destination });
  const metrics = createMetrics();
  let handled = 0;
  const charge = async (message: ChargeRequest, call: CallContext) => {
    handled += 1;
    await handle(message, call);
    return { payment: undefined };
  };
  const never = async () => ({ payment: undefined });
  const unused = async () => ({ order: undefined });
  const watchOrder = async function* (_request: unknown, { signal }: CallContext) {
    yield { order: undefined };
    await once(signal, "abort");
  };
  const services = [
    implement(PaymentServiceDefinition, { charge, refund: never, getPayment: never }),
    implement(OrderServiceDefinition, {
      placeOrder: unused,
      getOrder: unused,
      cancelOrder: unused,
      listOrders: async () => ({ orders: [], nextPageToken: "" }),
      watchOrder,
    }),
  ];
  const server = new GrpcServer(services, { log, metrics, clock: systemClock, random: Math.random });
  const port = await server.listen("127.0.0.1", 0);
  t.after(() => server.close());
  return { server, port, lines, metrics, handled: () => handled };
}

type Reply = { readonly httpStatus: number; readonly grpcStatus: string; readonly message: string };

/** One call by hand, so that everything about it can be wrong. */
async function call(
  port: number,
  options: { path?: string; body?: Buffer | undefined; headers?: Record<string, string>; cancelAfterMs?: number } = {},
): Promise<Reply> {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => undefined);
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: options.path ?? CHARGE,
    [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
    [constants.HTTP2_HEADER_TE]: "trailers",
    ...options.headers,
  });
  stream.on("error", () => undefined);
  const found: Record<string, unknown> = {};
  stream.on("response", (headers) => Object.assign(found, headers));
  stream.on("trailers", (headers) => Object.assign(found, headers));
  stream.end(options.body ?? frame(Buffer.from(good)));
  if (options.cancelAfterMs !== undefined)
    setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), options.cancelAfterMs);
  stream.resume();
  await once(stream, "close");
  session.close();
  return {
    httpStatus: Number(found[":status"] ?? 0),
    grpcStatus: String(found["grpc-status"] ?? ""),
    message: decodeURIComponent(String(found["grpc-message"] ?? "")),
  };
}

function frame(message: Buffer, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

const nothing: Handle = async () => undefined;

test("a good call is answered, and counted by method and code", async (t) => {
  const { port, metrics } = await start(t, nothing);
  assert.deepEqual(await call(port), { httpStatus: 200, grpcStatus: "0", message: "OK" });
  assert.match(
    await metrics.registry.metrics(),
    /rpc_server_call_duration_seconds_count\{rpc_system_name="grpc",rpc_method="ordermesh.payment.v1.PaymentService\/Charge",rpc_status_code="OK",caller=""\} 1/,
  );
});

const bytes = (...values: number[]) => Buffer.from(values);
for (const [title, body] of [
  ["a field that ends in the middle", bytes(0x0a, 0xff)],
  ["a varint without an end", bytes(0x08, ...Array.from({ length: 11 }, () => 0xff))],
  ["a length of 4 GiB", bytes(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f)],
] as const)
  test(`refused as the caller's mistake: ${title}`, async (t) => {
    const { port, handled, lines } = await start(t, nothing);
    const { grpcStatus, message } = await call(port, { body: frame(body) });
    assert.deepEqual([grpcStatus, message], ["3", "MESSAGE_MALFORMED: the request is not a valid message"]);
    assert.equal(handled(), 0);
    assert.deepEqual(lines, []);
    assert.equal((await call(port)).grpcStatus, "0", "the server lives on");
  });

for (const tag of [0x00, 0x0c])
  test(`generated code ends its reading at the tag ${tag}: what came before counts, and nothing breaks`, async (t) => {
    const orders: string[] = [];
    const { port } = await start(t, async ({ orderId }) => void orders.push(orderId));
    const body = frame(Buffer.concat([good, bytes(tag, 0x0a, 0x01, 0x58)]));
    assert.equal((await call(port, { body })).grpcStatus, "0");
    assert.deepEqual(orders, ["one"]);
  });

test("unknown fields are passed over, and names of prototypes are only names", async (t) => {
  const { port } = await start(t, nothing);
  assert.equal(
    (await call(port, { body: frame(Buffer.concat([good, bytes(0xfa, 0x3e, 0x02, 0x41, 0x42)])) })).grpcStatus,
    "0",
  );
  assert.equal(Object.keys(Object.prototype).length, 0);
});

test("a message over 1 MiB is refused", async (t) => {
  const { port, handled } = await start(t, nothing);
  const { grpcStatus } = await call(port, { body: frame(Buffer.alloc(1024 * 1024 + 1)) });
  assert.equal(grpcStatus, "8");
  assert.equal(
    (await call(port, { body: frame(Buffer.alloc(10), 0xffff_ffff) })).grpcStatus,
    "8",
    "also when it only says so",
  );
  assert.equal(handled(), 0);
});

for (const path of ["/ordermesh.payment.v1.PaymentService/Steal", "/nobody.v1.Nothing/Do", "/"])
  test(`${path} is unimplemented`, async (t) => {
    const { port } = await start(t, nothing);
    assert.equal((await call(port, { path })).grpcStatus, "12");
  });

test("what is not gRPC is turned away, and the server lives on", async (t) => {
  const { port } = await start(t, nothing);
  assert.equal((await call(port, { headers: { "content-type": "application/json" } })).httpStatus, 415);
  const http1 = request({ port, host: "127.0.0.1", path: CHARGE, method: "POST" });
  http1.end("{}");
  await once(http1, "error").catch(() => undefined);
  assert.equal((await call(port)).grpcStatus, "0");
});

for (const [timeout, status] of [
  ["1n", "4"],
  ["0m", "4"],
] as const)
  test(`a call with the time-out ${timeout} does no work`, async (t) => {
    const { port, handled } = await start(t, nothing);
    assert.equal((await call(port, { headers: { "grpc-timeout": timeout } })).grpcStatus, status);
    assert.equal(handled(), 0);
  });

test("a deadline aborts the handler's signal, and an endless one is capped", async (t) => {
  const deadlines: number[] = [];
  const { port } = await start(t, async (_message, { signal, deadlineMs }) => {
    deadlines.push(deadlineMs - performance.now());
    if (deadlineMs - performance.now() < 1_000) await once(signal, "abort");
  });
  assert.equal((await call(port, { headers: { "grpc-timeout": "50m" } })).grpcStatus, "4");
  await call(port, { headers: { "grpc-timeout": "99999999S" } });
  await call(port);
  assert.ok((deadlines[0] ?? 0) <= 50);
  assert.ok(
    deadlines.slice(1).every((ms) => ms > 25_000 && ms <= 30_000),
    deadlines.join(", "),
  );
});

test("a caller that gives up aborts the handler's signal", async (t) => {
  const aborted = Promise.withResolvers<void>();
  const { port } = await start(t, async (_message, { signal }) => {
    await once(signal, "abort");
    aborted.resolve();
  });
  await call(port, { cancelAfterMs: 20 });
  await aborted.promise;
});

test("an expected failure keeps its reason, a bug leaves without its text and is logged and counted", async (t) => {
  let failure: Error = new MeshError("precondition", "CARD_DECLINED", "the card was declined");
  const { port, lines, metrics } = await start(t, async () => {
    throw failure;
  });
  assert.deepEqual(await call(port), {
    httpStatus: 200,
    grpcStatus: "9",
    message: "CARD_DECLINED: the card was declined",
  });
  assert.deepEqual(lines, []);
  failure = new TypeError("secret detail");
  assert.deepEqual(await call(port), { httpStatus: 200, grpcStatus: "13", message: "INTERNAL: unexpected error" });
  assert.match(lines.join(""), /secret detail/);
  assert.doesNotMatch(lines.join(""), /tok_secret/, "requests are never logged");
  assert.match(await metrics.registry.metrics(), /mesh_bugs_total 1/);
});

test("a handler runs in the context of its call; a broken traceparent begins a new trace", async (t) => {
  const contexts: (CallContext | undefined)[] = [];
  const { port } = await start(t, async () => void contexts.push(currentContext()));
  const trace = "0af7651916cd43dd8448eb211c80319c";
  await call(port, { headers: { traceparent: `00-${trace}-b7ad6b7169203331-01`, "x-mesh-caller": "order" } });
  await call(port, { headers: { traceparent: "00-zero" } });
  assert.equal(contexts[0]?.caller, "order");
  assert.equal(contexts[0]?.traceparent.slice(3, 35), trace);
  assert.match(contexts[1]?.traceparent ?? "", /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
});

test("a stream whose deadline is centuries away goes on", async (t) => {
  const { port } = await start(t, nothing);
  const headers = { "grpc-timeout": "99999999H" };
  const { grpcStatus } = await call(port, { path: WATCH, body: frame(Buffer.alloc(0)), headers, cancelAfterMs: 100 });
  assert.equal(grpcStatus, "", "we hung up, the server did not");
});

test("an open stream does not hold up a drain, and an open call is waited for", async (t) => {
  const { server, port } = await start(t, () => new Promise((resolve) => setTimeout(resolve, 100)));
  const [stream, open] = [call(port, { path: WATCH, body: frame(Buffer.alloc(0)) }), call(port)];
  await new Promise((resolve) => setTimeout(resolve, 30));
  await server.drain();
  assert.equal((await open).grpcStatus, "0");
  assert.deepEqual((await stream).grpcStatus, "14");
});
