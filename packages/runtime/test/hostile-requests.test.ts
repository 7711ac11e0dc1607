/** Requests that no client of ours would send: each is refused for what is wrong with it, no handler runs, and the next call is served. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { constants, gzipSync } from "node:zlib";
import type { CallContext } from "@ordermesh/mesh/context";
import { CODE, encodeFields, type Field, FLAG, FRAME, frameOf, RawHttp2, uint32 } from "./raw-http2.ts";
import { CHARGE, call, fieldsOf, frame, good, nothing, start, WATCH } from "./served.ts";

const MIB = 1024 * 1024;
const GOOD = frame(Buffer.from(good));
const CHUNK_BYTES = 16_000;
const bytes = (...values: number[]) => Buffer.from(values);

function compressed(message: Buffer): Buffer {
  const framed = frame(message);
  framed[0] = 1;
  return framed;
}

/** Nested groups of an unknown field, `depth` deep. */
const groups = (depth: number) => Buffer.concat([Buffer.alloc(depth, 0xfb), Buffer.alloc(depth, 0xfc)]);

type Bad = {
  readonly what: string;
  readonly body: Buffer;
  readonly headers?: Record<string, string>;
  readonly code: string;
};

const BODIES: readonly Bad[] = [
  {
    what: "a message in an encoding that nobody knows",
    body: compressed(Buffer.from("?")),
    headers: { "grpc-encoding": "zstd" },
    code: "12",
  },
  {
    what: "a message that is not gzip but says so",
    body: compressed(Buffer.from("?")),
    headers: { "grpc-encoding": "gzip" },
    code: "13",
  },
  { what: "a prefix that promises more than comes", body: frame(Buffer.from(good), 100), code: "12" },
  { what: "half a prefix", body: bytes(0, 0), code: "12" },
  { what: "no message at all", body: Buffer.alloc(0), code: "12" },
  { what: "two messages for a method that takes one", body: Buffer.concat([GOOD, GOOD]), code: "12" },
  { what: "a string that is not UTF-8", body: frame(bytes(0x0a, 0x02, 0xc3, 0x28)), code: "3" },
  { what: "a known field of another wire type, cut short", body: frame(bytes(0x0d, 0x01)), code: "3" },
  { what: "groups 10,000 deep", body: frame(groups(10_000)), code: "3" },
];

for (const { what, body, headers = {}, code } of BODIES)
  test(`${what} is refused with ${code}`, async (t) => {
    const { port, handled } = await start(t, nothing);
    assert.equal((await call(port, { body, headers })).grpcStatus, code);
    assert.equal(handled(), 0);
    assert.equal((await call(port)).grpcStatus, "0", "the server lives on");
  });

test("a message that says it is compressed, with no word how, is INTERNAL, and the connection lives on", async (t) => {
  const { port, handled } = await start(t, nothing);
  const raw = await RawHttp2.open(t, port);
  raw.request(1, fieldsOf(CHARGE), compressed(Buffer.from(good)));
  assert.equal(await raw.resetCode(1), CODE.internal);
  assert.equal(handled(), 0);
  raw.request(3, fieldsOf(CHARGE), GOOD);
  assert.ok(await raw.until(({ type, stream }) => type === FRAME.headers && stream === 3));
  assert.equal(handled(), 1);
});

test("64 MiB out of 64 KiB of gzip are refused long before they are inflated", async (t) => {
  const { port, handled } = await start(t, nothing);
  const bomb = gzipSync(Buffer.alloc(64 * MIB), { level: constants.Z_BEST_COMPRESSION });
  assert.ok(bomb.length < MIB / 8);
  const beforeBytes = process.memoryUsage.rss();
  const { grpcStatus } = await call(port, { body: compressed(bomb), headers: { "grpc-encoding": "gzip" } });
  const grownBytes = process.memoryUsage.rss() - beforeBytes;
  assert.equal(grpcStatus, "8");
  assert.equal(handled(), 0);
  assert.ok(grownBytes < 32 * MIB, `${Math.round(grownBytes / MIB)} MiB`);
});

test("a name of a prototype as a map's key changes no prototype", async (t) => {
  const { port } = await start(t, nothing);
  const key = Buffer.from("__proto__");
  const entry = Buffer.concat([bytes(0x0a, key.length), key, bytes(0x12, 0x01, 0x78)]);
  const body = frame(Buffer.concat([good, bytes(0x7a, entry.length), entry]));
  assert.equal((await call(port, { body })).grpcStatus, "0");
  assert.equal(Object.getPrototypeOf({}), Object.prototype);
  assert.equal(Object.keys(Object.prototype).length, 0);
});

for (const [what, type] of [
  ["JSON", "application/json"],
  ["no content type", ""],
  ["gRPC-Web", "application/grpc-web+proto"],
] as const)
  test(`${what} is turned away with 415`, async (t) => {
    const { port, handled } = await start(t, nothing);
    assert.equal((await call(port, { headers: { "content-type": type } })).httpStatus, 415);
    assert.equal(handled(), 0);
  });

const big = "a".repeat(64 * 1024);
const many = Array.from({ length: 1_000 }, (_, number): Field => [`x-${number}`, "v"]);
const replaced = (name: string, value: string) =>
  fieldsOf(CHARGE).map((field): Field => (field[0] === name ? [name, value] : field));

const HEADERS: readonly (readonly [string, readonly Field[], number])[] = [
  ["a header of 64 KiB", fieldsOf(CHARGE, ["x-big", big]), CODE.enhanceYourCalm],
  ["1,000 headers", fieldsOf(CHARGE, ...many), CODE.enhanceYourCalm],
  ["a name in upper case", fieldsOf(CHARGE, ["X-Upper", "v"]), CODE.protocolError],
  ["a second path", fieldsOf(CHARGE, [":path", WATCH]), CODE.protocolError],
  ["a connection header", fieldsOf(CHARGE, ["connection", "keep-alive"]), CODE.protocolError],
  ["GET", replaced(":method", "GET"), CODE.protocolError],
];

for (const [what, fields, code] of HEADERS)
  test(`${what}: the stream is reset with ${code}, no handler runs, and the connection lives on`, async (t) => {
    const { port, handled } = await start(t, nothing);
    const raw = await RawHttp2.open(t, port);
    raw.send(...headerFrames(1, fields), frameOf(FRAME.data, FLAG.endStream, 1, GOOD));
    assert.equal(await raw.resetCode(1), code);
    assert.equal(handled(), 0);
    raw.request(3, fieldsOf(CHARGE), GOOD);
    assert.ok(await raw.until(({ type, stream }) => type === FRAME.headers && stream === 3));
  });

/** A header block in as many frames as it needs. */
function headerFrames(stream: number, fields: readonly Field[]): Buffer[] {
  const block = encodeFields(fields);
  const frames: Buffer[] = [];
  for (let at = 0; at < block.length; at += CHUNK_BYTES) {
    const flags = at + CHUNK_BYTES >= block.length ? FLAG.endHeaders : 0;
    frames.push(
      frameOf(at === 0 ? FRAME.headers : FRAME.continuation, flags, stream, block.subarray(at, at + CHUNK_BYTES)),
    );
  }
  return frames;
}

test("headers without an end cost the connection", async (t) => {
  const { port } = await start(t, nothing);
  const raw = await RawHttp2.open(t, port);
  raw.send(frameOf(FRAME.headers, 0, 1, encodeFields(fieldsOf(CHARGE))));
  for (let number = 0; number < 1_000; number += 1)
    raw.send(frameOf(FRAME.continuation, 0, 1, encodeFields([[`x-${number}`, "v"]])));
  await raw.closed;
  assert.equal((await call(port)).grpcStatus, "0");
});

test("what handlers see of metadata is the caller, the trace and the deadline: nothing else gets in, nor on to the next service", async (t) => {
  const contexts: CallContext[] = [];
  const { port } = await start(t, async (_message, context) => void contexts.push(context));
  const raw = await RawHttp2.open(t, port);
  const odd: Field[] = [
    ["grpc-status", "0"],
    ["grpc-message", "all is well"],
    ["x-mesh-caller", "order\nadmin"],
    ["traceparent", "00-\0"],
    ["x-odd-bin", "not base64!"],
  ];
  raw.request(1, fieldsOf(CHARGE, ...odd), GOOD);
  assert.ok(await raw.until(({ type, stream }) => type === FRAME.headers && stream === 1));
  const [context] = contexts;
  assert.deepEqual(Object.keys(context ?? {}).sort(), ["caller", "deadlineMs", "signal", "traceparent"]);
  assert.equal(context?.caller, "");
  assert.match(context?.traceparent ?? "", /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
});

for (const [timeout, expected] of [
  ["soon", "13"],
  ["", "0"],
  ["-1S", "0"],
  ["99999999H", "0"],
  ["3000000S", "0"],
  ["123456789m", "0"],
  ["1n", "4"],
] as const)
  test(`a time-out of "${timeout}" gives ${expected}, and no call more than the server's own bound`, async (t) => {
    const leftMs: number[] = [];
    const { port } = await start(
      t,
      async (_message, { deadlineMs }) => void leftMs.push(deadlineMs - performance.now()),
    );
    const { grpcStatus } = await call(port, { headers: timeout === "" ? {} : { "grpc-timeout": timeout } });
    assert.equal(grpcStatus, expected);
    assert.equal(leftMs.length, expected === "0" ? 1 : 0);
    assert.ok(
      leftMs.every((ms) => ms <= 30_000),
      String(leftMs),
    );
  });

type Stage = readonly [what: string, frames: readonly Buffer[]];
const begun = frameOf(FRAME.headers, FLAG.endHeaders, 1, encodeFields(fieldsOf(CHARGE)));
const BEFORE_THE_CALL: readonly Stage[] = [
  ["before the message", [begun]],
  ["within the message", [begun, frameOf(FRAME.data, 0, 1, GOOD.subarray(0, 9))]],
  ["after the message, before the request's end", [begun, frameOf(FRAME.data, 0, 1, GOOD)]],
];

for (const [what, frames] of BEFORE_THE_CALL)
  test(`a call cancelled ${what} never runs`, async (t) => {
    const { port, handled } = await start(t, nothing);
    const raw = await RawHttp2.open(t, port);
    raw.send(...frames, frameOf(FRAME.reset, 0, 1, uint32(CODE.cancel)));
    raw.request(3, fieldsOf(CHARGE), GOOD);
    assert.ok(await raw.until(({ type, stream }) => type === FRAME.headers && stream === 3));
    assert.equal(handled(), 1, "the second call's");
  });

test("a stream cancelled after its first message, or by the end of the connection, ends its handler", async (t) => {
  const ended = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  let number = 0;
  const watch = async function* ({ signal }: CallContext) {
    const end = ended[number];
    number += 1;
    yield { order: undefined };
    await once(signal, "abort");
    end?.resolve();
  };
  const { port } = await start(t, nothing, { watch });
  const follow = async (t: TestContext) => {
    const raw = await RawHttp2.open(t, port);
    raw.request(1, fieldsOf(WATCH), frame(Buffer.alloc(0)));
    await raw.until(({ type }) => type === FRAME.data);
    return raw;
  };
  (await follow(t)).send(frameOf(FRAME.reset, 0, 1, uint32(CODE.cancel)));
  await ended[0].promise;
  (await follow(t)).socket.destroy();
  await ended[1].promise;
});
