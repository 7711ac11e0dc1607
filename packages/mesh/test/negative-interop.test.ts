/** gRPC's list of negative interoperability tests: servers that go away, reset and ping, on both connections. */
import assert from "node:assert/strict";
import type { ServerHttp2Stream } from "node:http2";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Attempt } from "../src/connection.ts";
import { connectGrpc } from "../src/grpc-connection.ts";
import { frame } from "../src/grpc-wire.ts";
import { connectHttp2 } from "../src/http2-connection.ts";
import { ECHO } from "./echo.ts";
import { eventually } from "./fixtures.ts";
import { HEADERS, HELLO, send, serveRaw } from "./raw-server.ts";
import { serveReset } from "./reset-server.ts";

const PINGS = 1_000;
const READ: Attempt = {
  path: "/mesh.test.v1.EchoService/Read",
  method: ECHO.methods.read,
  request: { text: "?" },
  headers: {},
  timeoutMs: 5_000,
  signal: undefined,
};
const FOLLOW: Attempt = { ...READ, path: "/mesh.test.v1.EchoService/Follow", method: ECHO.methods.follow };

/** What the server sends before it resets the stream. */
const RESETS: readonly (readonly [string, readonly Buffer[]])[] = [
  ["after the headers", []],
  ["within the message", [HELLO.subarray(0, 9)]],
  ["after the message", [HELLO]],
];

for (const [name, connect] of [
  ["grpc-js", connectGrpc],
  ["http2", connectHttp2],
] as const) {
  for (const [when, before] of RESETS)
    test(`${name}: a reset ${when} fails the call at once, and the next goes over the same connection`, async (t) => {
      const { address, sockets } = await serveReset(t, before, HELLO);
      const connection = connect(address);
      t.after(() => connection.close());
      await assert.rejects(connection.unary(READ), { name: "MeshError", kind: "unavailable" });
      assert.deepEqual(await connection.unary(READ), { text: "hello" });
      assert.equal(sockets.size, 1);
    });

  test(`${name}: a stream that is open when the server says GOAWAY is read to its end, and calls go to a new connection`, async (t) => {
    const texts = ["1", "2", "3"];
    const follow = async (stream: ServerHttp2Stream) => {
      stream.respond(HEADERS, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      for (const text of texts) {
        stream.write(frame(Buffer.from(JSON.stringify({ text }))));
        stream.session?.close();
        await sleep(50);
      }
      stream.end();
    };
    const { address, sessions } = await serveRaw(t, (stream, headers) => {
      if (headers[":path"] === READ.path) send(stream, [HELLO]);
      else void follow(stream);
    });
    const connection = connect(address);
    t.after(() => connection.close());
    const got: unknown[] = [];
    for await (const message of connection.serverStream(FOLLOW)) {
      got.push(message);
      if (got.length === 2) assert.deepEqual(await connection.unary(READ), { text: "hello" });
    }
    assert.deepEqual(
      got,
      texts.map((text) => ({ text })),
    );
    await eventually("the end of the first connection", () => sessions.size === 1);
  });

  test(`${name}: a server that pings all the time is answered, and its calls go on`, async (t) => {
    let answered = 0;
    const { address, sessions } = await serveRaw(t, (stream) => send(stream, [HELLO]));
    const connection = connect(address);
    t.after(() => connection.close());
    await connection.unary(READ);
    const [session] = sessions;
    for (let sent = 0; sent < PINGS; sent += 1) {
      await new Promise<void>((resolve) => {
        session?.ping(() => {
          answered += 1;
          resolve();
        });
      });
      if (sent % 100 === 0) assert.deepEqual(await connection.unary(READ), { text: "hello" });
    }
    assert.equal(answered, PINGS);
    assert.deepEqual([...sessions], [session]);
  });
}
