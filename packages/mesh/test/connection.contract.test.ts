/** What every connection does, ours and grpc-js', against servers that behave and servers that do not. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Attempt, Connect, Connection } from "../src/connection.ts";
import type { ErrorKind } from "../src/errors.ts";
import { connectGrpc } from "../src/grpc-connection.ts";
import { frame, MAX_MESSAGE_BYTES } from "../src/grpc-wire.ts";
import { connectHttp2 } from "../src/http2-connection.ts";
import { ECHO } from "./echo.ts";
import { eventually } from "./fixtures.ts";
import { type Answer, HEADERS, HELLO, send, serveRaw } from "./raw-server.ts";

const READ: Attempt = {
  path: "/mesh.test.v1.EchoService/Read",
  method: ECHO.methods.read,
  request: { text: "?" },
  headers: { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
  timeoutMs: 5_000,
  signal: undefined,
};
const FOLLOW: Attempt = { ...READ, path: "/mesh.test.v1.EchoService/Follow", method: ECHO.methods.follow };
const hello: Answer = (stream) => send(stream, [HELLO]);
const silence: Answer = () => undefined;

function open(t: TestContext, connect: Connect, address: string): Connection {
  const connection = connect(address);
  t.after(() => connection.close());
  return connection;
}

async function rejects(connection: Connection, kind: ErrorKind, change: Partial<Attempt> = {}): Promise<void> {
  await assert.rejects(connection.unary({ ...READ, ...change }), { name: "MeshError", kind });
  assert.equal(connection.inFlight, 0);
}

/** An answer and the kind of error that it is; undefined when it is a good one. */
const ANSWERS: readonly [string, Answer, ErrorKind | undefined][] = [
  ["one message", hello, undefined],
  [
    "one byte at a time",
    (stream) =>
      send(
        stream,
        [...HELLO].map((byte) => Buffer.from([byte])),
      ),
    undefined,
  ],
  ["OK without a message", (stream) => send(stream, []), "unimplemented"],
  ["no status", (stream) => send(stream, [HELLO], null), "internal"],
  ["a status that is no number", (stream) => send(stream, [HELLO], { "grpc-status": "fine" }), "internal"],
  ["NOT_FOUND in trailers", (stream) => send(stream, [], { "grpc-status": "5", "grpc-message": "gone" }), "not-found"],
  [
    "NOT_FOUND at once",
    (stream) => stream.respond({ ...HEADERS, "grpc-status": "5" }, { endStream: true }),
    "not-found",
  ],
  ["HTTP 404", (stream) => stream.respond({ ":status": 404 }, { endStream: true }), "unimplemented"],
  ["HTTP 503", (stream) => stream.respond({ ":status": 503 }, { endStream: true }), "unavailable"],
  ["bytes that are no message", (stream) => send(stream, [frame(Buffer.from("{"))]), "internal"],
  ["a message cut short", (stream) => send(stream, [HELLO.subarray(0, 9)]), "unimplemented"],
  ["a compressed message that nobody asked for", (stream) => send(stream, [Buffer.from([1, 0, 0, 0, 0])]), "internal"],
  ["REFUSED_STREAM", (stream) => stream.close(7), "unavailable"],
  ["CANCEL by the server", (stream) => stream.close(8), "unavailable"],
  ["INTERNAL_ERROR", (stream) => stream.close(2), "internal"],
  ["the end of the connection", (stream) => stream.session?.destroy(), "unavailable"],
  [
    "the end of the connection after headers",
    (stream) => {
      stream.respond(HEADERS);
      setTimeout(() => stream.session?.destroy(), 20);
    },
    "unavailable",
  ],
  ["nothing", silence, "deadline"],
];

for (const [name, connect] of [
  ["grpc-js", connectGrpc],
  ["http2", connectHttp2],
] as const) {
  for (const [what, answer, kind] of ANSWERS)
    test(`${name}: ${what} is ${kind ?? "an answer"}`, async (t) => {
      const { address } = await serveRaw(t, answer);
      const connection = open(t, connect, address);
      if (kind === undefined) assert.deepEqual(await connection.unary(READ), { text: "hello" });
      else await rejects(connection, kind, { timeoutMs: kind === "deadline" ? 200 : 5_000 });
      assert.equal(connection.inFlight, 0);
    });

  test(`${name}: two messages instead of one are no answer`, async (t) => {
    const { address } = await serveRaw(t, (stream) => send(stream, [HELLO, HELLO]));
    await rejects(open(t, connect, address), "unimplemented");
  });

  test(`${name}: a message over the limit is refused`, async (t) => {
    const large = frame(Buffer.alloc(MAX_MESSAGE_BYTES + 1));
    const { address } = await serveRaw(t, (stream) => send(stream, [large]));
    await rejects(open(t, connect, address), "exhausted");
  });

  test(`${name}: large messages pass in both directions`, async (t) => {
    const text = "x".repeat(300_000);
    let receivedBytes = 0;
    const { address } = await serveRaw(t, (stream) => {
      stream.on("data", (chunk: Buffer) => {
        receivedBytes += chunk.length;
      });
      stream.on("end", () => send(stream, [frame(Buffer.from(JSON.stringify({ text })))]));
    });
    assert.deepEqual(await open(t, connect, address).unary({ ...READ, request: { text } }), { text });
    assert.ok(receivedBytes > 300_000);
  });

  test(`${name}: deadline, trace and content type are sent`, async (t) => {
    const seen: Record<string, unknown>[] = [];
    const { address } = await serveRaw(t, (stream, headers) => {
      seen.push(headers);
      hello(stream, headers);
    });
    await open(t, connect, address).unary(READ);
    const [headers = {}] = seen;
    assert.equal(headers[":path"], READ.path);
    assert.equal(headers.te, "trailers");
    assert.equal(headers.traceparent, READ.headers.traceparent);
    assert.match(String(headers["grpc-timeout"]), /^[0-9]{1,8}[mun]$/);
  });

  test(`${name}: a cancelled call ends at once, and the server hears of it`, async (t) => {
    const closed = Promise.withResolvers<void>();
    const { address } = await serveRaw(t, (stream) => void stream.on("close", () => closed.resolve()));
    const connection = open(t, connect, address);
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 50);
    await rejects(connection, "cancelled", { signal: abort.signal });
    await closed.promise;
  });

  test(`${name}: a draining server finishes what it has, and new calls go to a new connection`, async (t) => {
    const answers: (() => void)[] = [];
    let isDraining = false;
    const { address, sessions } = await serveRaw(t, (stream) => {
      if (isDraining) hello(stream, {});
      else answers.push(() => send(stream, [HELLO]));
    });
    const connection = open(t, connect, address);
    const first = connection.unary(READ);
    await eventually("the first call", () => answers.length === 1);
    isDraining = true;
    for (const session of sessions) session.close(); // Sends GOAWAY, and waits for the open streams.
    await sleep(100);
    assert.deepEqual(await connection.unary(READ), { text: "hello" });
    answers[0]?.();
    assert.deepEqual(await first, { text: "hello" });
  });

  test(`${name}: twenty calls at a time pass a server that takes one`, async (t) => {
    const { address } = await serveRaw(t, (stream) => void setTimeout(() => send(stream, [HELLO]), 5), {
      maxConcurrentStreams: 1,
    });
    const connection = open(t, connect, address);
    await connection.unary(READ); // From then on the limit is known.
    const answers = await Promise.all(Array.from({ length: 20 }, () => connection.unary(READ)));
    assert.equal(answers.length, 20);
  });

  test(`${name}: where nobody listens calls fail at once, and succeed soon after somebody does`, async (t) => {
    const { address, server } = await serveRaw(t, hello);
    server.close();
    await once(server, "close");
    const connection = open(t, connect, address);
    await rejects(connection, "unavailable");
    await eventually("the state", () => connection.state === "failing");
    await serveRaw(t, hello, {}, Number(address.split(":")[1]));
    const startedMs = performance.now();
    for (;;)
      try {
        await connection.unary({ ...READ, timeoutMs: 500 });
        break;
      } catch {
        assert.ok(performance.now() - startedMs < 10_000);
        await sleep(20);
      }
    assert.equal(connection.state, "ready");
  });

  test(`${name}: a lost connection is made again`, async (t) => {
    const { address, sessions } = await serveRaw(t, hello);
    const connection = open(t, connect, address);
    await connection.unary(READ);
    for (const session of sessions) session.destroy();
    await eventually("the loss", () => sessions.size === 0);
    await sleep(100);
    assert.deepEqual(await connection.unary(READ), { text: "hello" });
  });

  test(`${name}: a port that accepts and says nothing costs no more than the deadline`, async (t) => {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    server.on("connection", (socket) => t.after(() => socket.destroy()));
    const connection = open(t, connect, `127.0.0.1:${(server.address() as AddressInfo).port}`);
    const startedMs = performance.now();
    await rejects(connection, "deadline", { timeoutMs: 300 });
    assert.ok(performance.now() - startedMs < 2_000);
  });

  test(`${name}: a stream's messages come in order, then its status`, async (t) => {
    const texts = ["a", "b", "c"];
    const chunks = texts.map((text) => frame(Buffer.from(JSON.stringify({ text }))));
    const { address } = await serveRaw(t, (stream) => send(stream, chunks, { "grpc-status": "14" }));
    const got: unknown[] = [];
    const connection = open(t, connect, address);
    await assert.rejects(
      async () => {
        for await (const message of connection.serverStream(FOLLOW)) got.push(message);
      },
      { kind: "unavailable" },
    );
    assert.deepEqual(
      got,
      texts.map((text) => ({ text })),
    );
    assert.equal(connection.inFlight, 0);
  });

  test(`${name}: who leaves a stream early cancels it`, async (t) => {
    const closed = Promise.withResolvers<void>();
    const { address } = await serveRaw(t, (stream) => {
      stream.respond(HEADERS);
      stream.write(HELLO);
      stream.on("close", () => closed.resolve());
    });
    const connection = open(t, connect, address);
    for await (const _ of connection.serverStream({ ...FOLLOW, timeoutMs: Number.POSITIVE_INFINITY })) break;
    await closed.promise;
    assert.equal(connection.inFlight, 0);
  });

  test(`${name}: a slow reader holds the server up instead of filling memory`, async (t) => {
    const text = "x".repeat(64_000);
    const message = frame(Buffer.from(JSON.stringify({ text })));
    const COUNT = 500;
    let sent = 0;
    const { address } = await serveRaw(t, (stream) => {
      stream.respond(HEADERS, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      const more = () => {
        while (sent < COUNT && !stream.destroyed) {
          sent += 1;
          if (!stream.write(message)) return void stream.once("drain", more);
        }
        stream.end();
      };
      more();
    });
    let got = 0;
    for await (const _ of open(t, connect, address).serverStream(FOLLOW)) {
      got += 1;
      if (got === 1) {
        await sleep(300);
        assert.ok(sent < COUNT / 2, `${sent} of ${COUNT} were sent to a reader that took one`);
      }
    }
    assert.equal(got, COUNT);
  });

  test(`${name}: closing waits for the last call`, async (t) => {
    const { address, sessions } = await serveRaw(t, (stream) => void setTimeout(() => send(stream, [HELLO]), 100));
    const connection = connect(address);
    const call = connection.unary(READ);
    await eventually("the call", () => sessions.size === 1);
    await sleep(20);
    connection.close();
    assert.deepEqual(await call, { text: "hello" });
    await eventually("the end", () => sessions.size === 0);
    assert.equal(connection.state, "closed");
  });
}
