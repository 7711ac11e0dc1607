/** The gRPC server against what clients really send: wrong bytes, wrong paths, wrong times, and giving up. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type CallContext, currentContext } from "@ordermesh/mesh/context";
import { MeshError } from "@ordermesh/mesh/errors";
import { CHARGE, call, frame, good, nothing, start, WATCH } from "./served.ts";

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
  const [begun, followed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const slowly = async () => {
    begun.resolve();
    await sleep(100);
  };
  const watch = async function* ({ signal }: CallContext) {
    yield { order: undefined };
    followed.resolve();
    await once(signal, "abort");
  };
  const { server, port } = await start(t, slowly, { watch });
  const [stream, open] = [call(port, { path: WATCH, body: frame(Buffer.alloc(0)) }), call(port)];
  await Promise.all([begun.promise, followed.promise]);
  await server.drain();
  assert.equal((await open).grpcStatus, "0");
  assert.deepEqual((await stream).grpcStatus, "14");
});
