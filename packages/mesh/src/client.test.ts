import assert from "node:assert/strict";
import { test } from "node:test";
import { ECHO, type Echo } from "../test/echo.ts";
import { A, ASK, addressesOf, B, failure, newClient, OK, UNAVAILABLE } from "../test/scripted-client.ts";
import { createClient } from "./client.ts";
import { type CallContext, runInContext, traceId } from "./context.ts";
import { NotBegunError } from "./errors.ts";
import type { Target } from "./target.ts";

test("a method that may be repeated is tried at another endpoint when nobody answered", async () => {
  const { client, made, statuses } = await newClient({ outcomes: [UNAVAILABLE, OK] });
  assert.deepEqual(await client.read(ASK), OK);
  assert.deepEqual(addressesOf(made).sort(), [A, B]);
  assert.deepEqual(await statuses(), ["mesh.test.v1.EchoService/Read OK 1"]);
});

test("an endpoint that was tried is not tried again because others called meanwhile", async () => {
  const { client, made } = await newClient({ outcomes: [UNAVAILABLE, OK] });
  await Promise.all([client.read(ASK), client.read(ASK)]);
  const [first, second, retry] = addressesOf(made);
  assert.notEqual(first, second);
  assert.equal(retry, second);
});

test("three attempts are the most, with pauses that double, and the last error is the call's", async () => {
  const { client, made, slept, statuses } = await newClient({ outcomes: [UNAVAILABLE] });
  await assert.rejects(client.read(ASK), UNAVAILABLE);
  assert.equal(made.length, 3);
  assert.deepEqual(slept, [12.5, 25], "half of 25 and of 50 ms, as chance is one half");
  assert.deepEqual(await statuses(), ["mesh.test.v1.EchoService/Read UNAVAILABLE 1"]);
});

test("a method without an idempotency level is never repeated", async () => {
  const { client, made } = await newClient({ outcomes: [UNAVAILABLE, OK] });
  await assert.rejects(client.write(ASK), UNAVAILABLE);
  assert.equal(made.length, 1);
});

test("what no server has begun is repeated elsewhere, whatever the method", async () => {
  const { client, made } = await newClient({ outcomes: [new NotBegunError("refused"), OK] });
  assert.deepEqual(await client.write(ASK), OK);
  assert.equal(new Set(addressesOf(made)).size, 2);
});

test("nothing but unavailable is repeated", async () => {
  const kinds = ["invalid", "not-found", "exhausted", "conflict", "cancelled", "deadline", "internal"] as const;
  for (const error of kinds.map(failure)) {
    const { client, made } = await newClient({ outcomes: [error, OK] });
    await assert.rejects(client.read(ASK), error);
    assert.equal(made.length, 1, error.kind);
  }
});

test("no attempt begins that would end after the deadline", async () => {
  const { client, made, slept } = await newClient({ outcomes: [UNAVAILABLE], attemptMs: 90 });
  await assert.rejects(client.read(ASK, { timeoutMs: 100 }), UNAVAILABLE);
  assert.deepEqual([made.length, slept], [1, []]);
});

test("an attempt gets what is left of the call's time", async () => {
  const { client, made } = await newClient({ outcomes: [UNAVAILABLE, OK], attemptMs: 100 });
  await client.read(ASK, { timeoutMs: 500 });
  await client.read(ASK);
  assert.deepEqual(
    made.map(({ attempt }) => attempt.timeoutMs),
    [500, 387.5, 1_000],
  );
});

test("a call inside a call passes on the trace, and the deadline less a margin", async () => {
  const { client, made, clock } = await newClient();
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const { signal } = new AbortController();
  const context: CallContext = { deadlineMs: clock.nowMs() + 300, traceparent, signal, caller: "browser" };
  await runInContext(context, () => client.read(ASK));
  await runInContext(context, () => client.read(ASK, { timeoutMs: 50 }));
  await runInContext(context, () => client.read(ASK, { timeoutMs: 5_000 }));
  assert.deepEqual(
    made.map(({ attempt }) => attempt.timeoutMs),
    [295, 50, 295],
  );
  for (const { attempt } of made) {
    assert.equal(traceId(attempt.headers.traceparent ?? ""), traceId(traceparent));
    assert.equal(attempt.headers["x-mesh-caller"], "shop");
    assert.equal(attempt.signal, signal);
  }
});

test("a call whose time is over before it begins is not made", async () => {
  const { client, made, clock } = await newClient();
  const { signal } = new AbortController();
  const context: CallContext = { deadlineMs: clock.nowMs() + 3, traceparent: "", signal, caller: "" };
  const expected = { kind: "deadline", reason: "DEADLINE_EXCEEDED" };
  await assert.rejects(
    runInContext(context, () => client.read(ASK)),
    expected,
  );
  await assert.rejects(client.read(ASK, { timeoutMs: 0 }), expected);
  assert.equal(made.length, 0);
});

test("a call that was cancelled before it begins is not made, nor is one repeated after that", async () => {
  const { client, made, statuses } = await newClient({ outcomes: [UNAVAILABLE] });
  const expected = { kind: "cancelled", reason: "CALL_CANCELLED" };
  await assert.rejects(client.read(ASK, { signal: AbortSignal.abort() }), expected);
  await assert.rejects(client.follow(ASK, { signal: AbortSignal.abort() })[Symbol.asyncIterator]().next(), expected);
  assert.equal(made.length, 0);
  assert.deepEqual(await statuses(), [
    "mesh.test.v1.EchoService/Read CANCELLED 1",
    "mesh.test.v1.EchoService/Follow CANCELLED 1",
  ]);
});

test("a service without endpoints is unavailable once the call's time is over", async () => {
  const { client, slept } = await newClient({ endpoints: [] });
  const expected = { kind: "unavailable", reason: "NO_ENDPOINTS" };
  await assert.rejects(client.read(ASK, { timeoutMs: 300 }), expected);
  await assert.rejects(client.follow(ASK)[Symbol.asyncIterator]().next(), expected);
  assert.deepEqual(slept, [300, 1_000]);
});

test("an endpoint whose connection fails is passed over", async () => {
  const { client, made, connections } = await newClient();
  await client.read(ASK);
  await client.read(ASK);
  const [first] = connections;
  assert.ok(first);
  first.state = "failing";
  made.length = 0;
  for (let count = 0; count < 5; count += 1) await client.read(ASK);
  assert.equal(addressesOf(made).includes(first.address), false);
});

test("connections are kept for as long as their instance is listed at their address", async () => {
  const { client, store, add, connections } = await newClient({ endpoints: ["a"] });
  await client.read(ASK);
  await client.read(ASK);
  assert.equal(connections.length, 1);
  add("a", { address: "elsewhere:1" });
  await client.read(ASK);
  store.delete("/mesh/endpoints/echo/a");
  add("c", { address: "elsewhere:1" });
  await client.read(ASK);
  assert.deepEqual(
    connections.map(({ address, state }) => [address, state]),
    [
      [A, "closed"],
      ["elsewhere:1", "closed"],
      ["elsewhere:1", "ready"],
    ],
  );
});

test("a stream has no deadline of its own, and is counted by how it ended", async () => {
  const { client, made, statuses } = await newClient({ outcomes: [OK, OK] });
  const heard: Echo[] = [];
  for await (const message of client.follow(ASK)) heard.push(message);
  for await (const _ of client.follow(ASK, { timeoutMs: 50 })) break;
  assert.deepEqual(heard, [OK, OK]);
  assert.deepEqual(
    made.map(({ attempt }) => attempt.timeoutMs),
    [Number.POSITIVE_INFINITY, 50],
  );
  const method = "mesh.test.v1.EchoService/Follow";
  assert.deepEqual(await statuses(), [`${method} OK 1`, `${method} CANCELLED 1`]);
});

test("a definition with a client stream is refused when the client is made", async () => {
  const methods = { send: { ...ECHO.methods.read, requestStream: true } };
  const target = {} as Target;
  assert.throws(() => createClient({ ...ECHO, methods }, target), /client streams are not supported/);
});
