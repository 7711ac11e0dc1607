/** Server streams over real connections. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { StreamCall } from "./echo.ts";
import { ASK, newMesh, serve } from "./echo-mesh.ts";

test("a stream's messages arrive in order, and its end is the loop's", async (t) => {
  const { client, add, connections } = newMesh(t);
  const follow = (call: StreamCall) => {
    for (const text of ["1", "2", "3"]) call.write({ text });
    call.end();
  };
  add("a", (await serve(t, { follow })).address);
  const heard: string[] = [];
  for await (const { text } of client.follow(ASK)) heard.push(text);
  assert.deepEqual(heard, ["1", "2", "3"]);
  assert.deepEqual(
    connections().map(({ inFlight }) => inFlight),
    [0],
  );
});

test("leaving a stream early, or its signal, cancels it on the server", async (t) => {
  const { client, add, connections } = newMesh(t);
  let over = Promise.withResolvers<void>();
  const follow = (call: StreamCall) => {
    call.on("cancelled", over.resolve);
    call.write({ text: "first" });
  };
  add("a", (await serve(t, { follow })).address);
  for await (const message of client.follow(ASK)) {
    assert.deepEqual(message, { text: "first" });
    break;
  }
  await over.promise;

  over = Promise.withResolvers<void>();
  const abort = new AbortController();
  const stream = client.follow(ASK, { signal: abort.signal })[Symbol.asyncIterator]();
  await stream.next();
  const next = stream.next();
  abort.abort();
  await assert.rejects(next, { kind: "cancelled" });
  await over.promise;
  assert.deepEqual(
    connections().map(({ inFlight }) => inFlight),
    [0],
  );
});

test("a stream fails with the server's error, with unavailable when the server dies, and at its deadline", async (t) => {
  const { client, add } = newMesh(t);
  const server = await serve(t, {
    follow(call) {
      call.write({ text: "first" });
      if (call.request.text === "fail")
        call.emit("error", { code: 9, details: "NOT_NOW: not now", metadata: undefined });
    },
  });
  add("a", server.address);
  const after = async (text: string, timeoutMs: number, act: () => void = () => {}) => {
    const stream = client.follow({ text }, { timeoutMs })[Symbol.asyncIterator]();
    assert.deepEqual((await stream.next()).value, { text: "first" });
    act();
    await stream.next();
  };
  await assert.rejects(after("fail", 20_000), { name: "MeshError", kind: "precondition" });
  await assert.rejects(after("stay", 100), { name: "MeshError", kind: "deadline" });
  await assert.rejects(
    after("stay", 20_000, () => server.server.forceShutdown()),
    { name: "MeshError", kind: "unavailable" },
  );
});
