/** Connections that flood, stall or crowd a server of ours: each is hung up on, and other callers are served meanwhile. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { CallContext } from "@ordermesh/mesh/context";
import { CancelReason, type Order, OrderStatus } from "@ordermesh/proto/ordermesh/order/v1/order";
import { CODE, encodeFields, FLAG, FRAME, frameOf, RawHttp2, uint32 } from "./raw-http2.ts";
import { CHARGE, call, fieldsOf, frame, good, nothing, start, WATCH } from "./served.ts";

const GOOD = frame(Buffer.from(good));
const EMPTY = frame(Buffer.alloc(0));
const SETTINGS_INITIAL_WINDOW_SIZE = 4;
const MIB = 1024 * 1024;
const begin = (stream: number, path = CHARGE) =>
  frameOf(FRAME.headers, FLAG.endHeaders, stream, encodeFields(fieldsOf(path)));

type Flood = { readonly what: string; readonly codes: readonly number[]; readonly send: (raw: RawHttp2) => void };

const times = (count: number, make: (number: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, number) => make(number)));
const FLOODS: readonly Flood[] = [
  {
    what: "10,000 calls that are reset at once",
    codes: [CODE.internal, CODE.enhanceYourCalm],
    send: (raw) =>
      raw.send(
        times(10_000, (n) =>
          Buffer.concat([begin(2 * n + 1), frameOf(FRAME.reset, 0, 2 * n + 1, uint32(CODE.cancel))]),
        ),
      ),
  },
  {
    what: "10,000 calls at a time",
    codes: [CODE.protocolError, CODE.refusedStream],
    send: (raw) => raw.send(times(10_000, (n) => begin(2 * n + 1))),
  },
  {
    what: "20,000 pings",
    codes: [CODE.internal, CODE.enhanceYourCalm],
    send: (raw) => raw.send(times(20_000, () => frameOf(FRAME.ping, 0, 0, Buffer.alloc(8)))),
  },
  {
    what: "20,000 changes of settings",
    codes: [CODE.internal, CODE.enhanceYourCalm],
    send: (raw) =>
      raw.send(
        times(20_000, () =>
          frameOf(FRAME.settings, 0, 0, Buffer.from([0, SETTINGS_INITIAL_WINDOW_SIZE, 0, 0, 255, 255])),
        ),
      ),
  },
  {
    what: "20,000 empty pieces of a message",
    codes: [CODE.internal, CODE.enhanceYourCalm],
    send: (raw) =>
      raw.send(
        begin(1),
        times(20_000, () => frameOf(FRAME.data, 0, 1)),
      ),
  },
  {
    what: "20,000 changes of priority",
    codes: [CODE.enhanceYourCalm],
    send: (raw) =>
      raw.send(times(20_000, (n) => frameOf(FRAME.priority, 0, 2 * (n % 1_000) + 1, Buffer.from([0, 0, 0, 0, 16])))),
  },
  {
    what: "a window of more than 2 GiB",
    codes: [CODE.flowControl],
    send: (raw) => raw.send(times(2, () => frameOf(FRAME.windowUpdate, 0, 0, uint32(0x7fff_ffff)))),
  },
  {
    what: "data on a stream that was never begun",
    codes: [CODE.protocolError],
    send: (raw) => raw.send(frameOf(FRAME.data, 0, 9, GOOD)),
  },
];

for (const { what, codes, send } of FLOODS)
  test(`${what} end in a GOAWAY, and another caller is served meanwhile`, async (t) => {
    const { port, handled } = await start(t, nothing);
    const raw = await RawHttp2.open(t, port);
    send(raw);
    assert.equal((await call(port)).grpcStatus, "0");
    const code = await raw.goawayCode();
    assert.ok(code !== undefined && codes.includes(code), `code ${code}`);
    await raw.closed;
    assert.equal(handled(), 1, "the other caller's");
  });

test("pings in moderation that never end are answered ENHANCE_YOUR_CALM, and keepalive's are not", async (t) => {
  const { port } = await start(t, nothing);
  const [patient, impatient] = [await RawHttp2.open(t, port), await RawHttp2.open(t, port)];
  const ping = frameOf(FRAME.ping, 0, 0, Buffer.alloc(8));
  const acks = (raw: RawHttp2) =>
    raw.frames.filter(({ type, flags }) => type === FRAME.ping && flags === FLAG.ack).length;
  for (let sent = 0; sent < 10; sent += 1) patient.send(ping);
  for (let sent = 0; !impatient.socket.destroyed && sent < 10_000; sent += 50) {
    impatient.send(times(50, () => ping));
    await impatient.until(() => acks(impatient) >= sent || impatient.frames.some(({ type }) => type === FRAME.goaway));
  }
  assert.equal(await impatient.goawayCode(), CODE.enhanceYourCalm);
  await patient.until(() => acks(patient) === 10);
  assert.equal(patient.socket.destroyed, false);
});

/** As long as `id` is. */
function anOrder(orderId: string): Order {
  const none = { customerId: "", lines: [], version: 0n, trackingCode: "" };
  return {
    ...none,
    orderId,
    status: OrderStatus.ORDER_STATUS_UNSPECIFIED,
    cancelReason: CancelReason.CANCEL_REASON_UNSPECIFIED,
    total: undefined,
    placedAt: undefined,
    updatedAt: undefined,
  };
}

/** Resolves once the other side has hung up, with how long that took; fails after `withinMs`. */
async function hungUpWithin(socket: Socket, withinMs: number): Promise<number> {
  const startedMs = performance.now();
  const abort = new AbortController();
  socket.resume();
  if (!socket.destroyed)
    await Promise.race([
      once(socket, "close"),
      sleep(withinMs, undefined, { signal: abort.signal }).then(() => assert.fail(`open after ${withinMs} ms`)),
    ]);
  abort.abort();
  return performance.now() - startedMs;
}

async function openSocket(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  t.after(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

test("who connects and says nothing, half a greeting, or nothing after it is hung up on within 20 s", async (t) => {
  const { port } = await start(t, nothing);
  const silent = await openSocket(t, port);
  const half = await openSocket(t, port);
  half.write("PRI * HTTP/2.0\r\n");
  const deaf = await RawHttp2.open(t, port); // Answers no ping.
  const tookMs = await Promise.all([silent, half, deaf.socket].map((socket) => hungUpWithin(socket, 20_000)));
  t.diagnostic(tookMs.map((ms) => `${Math.round(ms)} ms`).join(", "));
  assert.equal((await call(port)).grpcStatus, "0");
});

test("HTTP/1.1 is hung up on at once", async (t) => {
  const { port } = await start(t, nothing);
  const socket = await openSocket(t, port);
  socket.write(`POST ${CHARGE} HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{}`);
  await hungUpWithin(socket, 5_000);
});

test("a request that trickles in is reset when its time is over, and never runs", async (t) => {
  const { port, handled } = await start(t, nothing, { limits: { requestMs: 300 } });
  const raw = await RawHttp2.open(t, port);
  raw.send(begin(1));
  const timer = setInterval(() => raw.send(frameOf(FRAME.data, 0, 1, Buffer.alloc(1))), 20);
  t.after(() => clearInterval(timer));
  assert.equal(await raw.resetCode(1), CODE.enhanceYourCalm);
  assert.equal(handled(), 0);
});

test("an answer that nobody takes is dropped when the call's time is over", async (t) => {
  const { port, handled } = await start(t, nothing, { limits: { requestMs: 100, unaryMs: 300 } });
  const raw = await RawHttp2.open(t, port, [[SETTINGS_INITIAL_WINDOW_SIZE, 0]]);
  raw.request(1, fieldsOf(CHARGE), GOOD);
  assert.equal(await raw.resetCode(1), CODE.enhanceYourCalm);
  assert.equal(handled(), 1);
});

test("a stream whose client never ends its request never runs, and is reset", async (t) => {
  let watched = 0;
  const watch = async function* () {
    watched += 1;
    yield { order: undefined };
  };
  const { port } = await start(t, nothing, { watch, limits: { requestMs: 200 } });
  const raw = await RawHttp2.open(t, port);
  raw.send(begin(1, WATCH), frameOf(FRAME.data, 0, 1, EMPTY));
  assert.equal(await raw.resetCode(1), CODE.enhanceYourCalm);
  assert.equal(watched, 0);
});

test("a server with 1 GiB to say waits for a reader that takes nothing, and then for none", async (t) => {
  const message = { order: anOrder("x".repeat(MIB)) };
  let said = 0;
  const over = Promise.withResolvers<void>();
  const watch = async function* ({ signal }: CallContext) {
    signal.addEventListener("abort", () => over.resolve());
    for (; said < 1_024; said += 1) yield message;
  };
  const { port } = await start(t, nothing, { watch, limits: { requestMs: 100, stalledMs: 300 } });
  const raw = await RawHttp2.open(t, port);
  raw.request(1, fieldsOf(WATCH), EMPTY);
  assert.equal(await raw.resetCode(1), CODE.enhanceYourCalm);
  await over.promise;
  // grpc-js queues 16 messages before it asks to wait, of whatever size.
  assert.ok(said <= 20, `${said} MiB were made for a reader that took none`);
});

test("a slow reader that goes on reading keeps its stream", async (t) => {
  const message = { order: anOrder("x".repeat(50_000)) };
  const COUNT = 20;
  const watch = async function* () {
    for (let said = 0; said < COUNT; said += 1) yield message;
  };
  const { port } = await start(t, nothing, { watch, limits: { requestMs: 50, stalledMs: 200 } });
  const raw = await RawHttp2.open(t, port);
  raw.request(1, fieldsOf(WATCH), EMPTY);
  const timer = setInterval(() => {
    for (const stream of [0, 1]) raw.send(frameOf(FRAME.windowUpdate, 0, stream, uint32(50_100)));
  }, 60);
  t.after(() => clearInterval(timer));
  const end = await raw.until(
    ({ type, flags }) => type === FRAME.reset || (type === FRAME.headers && (flags & FLAG.endStream) > 0),
  );
  assert.equal(end?.type, FRAME.headers, "the trailers");
  const gotBytes = raw.frames.reduce((sum, { type, payload }) => sum + (type === FRAME.data ? payload.length : 0), 0);
  assert.ok(gotBytes > COUNT * 50_000, `${gotBytes} bytes`);
});

test("connections beyond the limit are hung up on and counted, and those there are go on", async (t) => {
  const { port, metrics } = await start(t, nothing, { limits: { connections: 50 } });
  const first = await RawHttp2.open(t, port);
  const sockets = await Promise.all(Array.from({ length: 500 }, () => openSocket(t, port)));
  await Promise.all(sockets.slice(49).map((socket) => hungUpWithin(socket, 10_000)));
  first.request(1, fieldsOf(CHARGE), GOOD);
  assert.ok(await first.until(({ type }) => type === FRAME.headers));
  const { values } = await metrics.connectionsRefused.get();
  assert.deepEqual(
    values.map(({ labels, value }) => [labels.reason, value]),
    [["too-many", 451]],
  );
});
