/** What an operator's policy and faults change about calls. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Echo } from "../test/echo.ts";
import { A, ASK, addressesOf, B, failure, newClient, OK, UNAVAILABLE } from "../test/scripted-client.ts";
import { MeshError } from "./errors.ts";

test("an operator's time-out holds for calls that name none, and a method's own comes first", async () => {
  const policy = { timeoutMs: 400, methods: { Write: { timeoutMs: 700 } } };
  const { client, made } = await newClient({ policy });
  await client.read(ASK);
  await client.write(ASK);
  await client.write(ASK, { timeoutMs: 50 });
  assert.deepEqual(
    made.map(({ attempt }) => attempt.timeoutMs),
    [400, 700, 50],
  );
});

test("an attempt that takes too long is given up for another endpoint, if it may be repeated", async () => {
  const late = failure("deadline");
  const policy = { retries: { perTryTimeoutMs: 100 } };
  const { client, made } = await newClient({ outcomes: [late, OK], policy });
  assert.deepEqual(await client.read(ASK, { timeoutMs: 1_000 }), OK);
  assert.deepEqual(made.map(({ attempt }) => attempt.timeoutMs)[0], 100);
  assert.equal(new Set(made.map(({ address }) => address)).size, 2);
  const { client: once } = await newClient({ outcomes: [late, OK], policy });
  await assert.rejects(once.write(ASK), late);
});

test("an operator's number of attempts holds", async () => {
  const { client, made } = await newClient({ outcomes: [UNAVAILABLE], policy: { retries: { attempts: 2 } } });
  await assert.rejects(client.read(ASK), UNAVAILABLE);
  assert.equal(made.length, 2);
});

test("a hedged call takes the second answer when the first keeps it waiting, and cancels the first", async () => {
  const never = Promise.withResolvers<Echo>();
  const { client, made } = await newClient({
    outcomes: [never.promise as unknown as Echo, OK],
    policy: { hedging: { delayMs: 10 } },
  });
  assert.deepEqual(await client.read(ASK), OK);
  assert.equal(new Set(made.map(({ address }) => address)).size, 2);
  assert.equal(made[0]?.attempt.signal?.aborted, true);
});

test("what may not be repeated is not hedged", async () => {
  const { client, made } = await newClient({ policy: { hedging: { delayMs: 10 } } });
  await client.write(ASK);
  assert.equal(made.length, 1);
});

test("calls go to the version that the split names, and to any when it is nowhere", async () => {
  const policy = { routes: [{ header: "x-canary", equals: "yes", version: "v2" }], split: { weights: { v1: 100 } } };
  const { client, made, add } = await newClient({ endpoints: [], policy });
  add("a", { version: "v1" });
  add("b", { version: "v2" });
  for (const headers of [{}, { "x-canary": "yes" }, {}]) await client.read(ASK, { headers });
  assert.deepEqual(
    made.map(({ address }) => address[0]),
    ["a", "b", "a"],
  );
  const { client: other, made: elsewhere } = await newClient({ policy: { split: { weights: { v9: 100 } } } });
  await other.read(ASK);
  assert.equal(elsewhere.length, 1);
});

test("a fault rule delays and aborts attempts; an abort that may be repeated is", async () => {
  const { client, made, slept, store, clock } = await newClient();
  const put = (fields: object) =>
    store.put(
      "/mesh/faults/one",
      JSON.stringify({ schemaVersion: 1, service: "echo", share: 1, expiresAtMs: clock.wallMs() + 60_000, ...fields }),
    );
  put({ delayMs: 100 });
  await Promise.resolve();
  await client.read(ASK);
  assert.deepEqual([slept, made.length], [[100], 1]);
  put({ abort: "forbidden", method: "Read" });
  await Promise.resolve();
  await assert.rejects(client.read(ASK), { kind: "forbidden", reason: "FAULT_INJECTED" });
  await client.write(ASK);
  put({ abort: "unavailable", share: 0.6 });
  await Promise.resolve();
  await assert.rejects(client.read(ASK), { kind: "unavailable" });
  assert.equal(made.length, 2, "the aborted attempts were not sent");
});

test("more calls than the rate are refused at once and make no attempt", async () => {
  const { client, made } = await newClient({ policy: { rateLimit: { perSecond: 1, burst: 2 } } });
  await client.read(ASK);
  await client.read(ASK);
  await assert.rejects(client.read(ASK), { kind: "exhausted", reason: "RATE_LIMITED" });
  assert.equal(made.length, 2);
});

test("a call that an overloaded server did not begin goes to another, if it may be repeated", async () => {
  const shed = new MeshError("exhausted", "SERVER_OVERLOADED", "busy");
  const { client, made } = await newClient({ outcomes: [shed, OK] });
  assert.deepEqual(await client.read(ASK), OK);
  assert.equal(new Set(made.map(({ address }) => address)).size, 2);
  const { client: lone, made: asked } = await newClient({ outcomes: [shed, OK], endpoints: ["a"] });
  await assert.rejects(lone.read(ASK), shed, "the only one is not asked again");
  assert.equal(asked.length, 1);
  const { client: writer } = await newClient({ outcomes: [shed, OK] });
  await assert.rejects(writer.write(ASK), shed);
  const other = failure("exhausted");
  const { client: refused } = await newClient({ outcomes: [other, OK] });
  await assert.rejects(refused.read(ASK), other);
});

test("a mirrored version gets copies of reads; its failures are nobody's, and writes are not copied", async () => {
  const policy = { mirror: { version: "v2", share: 1 }, split: { weights: { dev: 100 } } };
  const { client, made, add, metrics } = await newClient({ outcomes: [UNAVAILABLE, OK], endpoints: ["a"], policy });
  add("b", { version: "v2" });
  await Promise.resolve();
  assert.deepEqual(await client.read(ASK), OK);
  assert.deepEqual(
    made.map(({ address, attempt }) => [address, attempt.headers["x-mesh-mirror"]]),
    [
      [B, "1"],
      [A, undefined],
    ],
  );
  await client.write(ASK);
  assert.deepEqual(addressesOf(made), [B, A, A]);
  const { values } = await metrics.mirrored.get();
  assert.deepEqual(
    values.map(({ labels, value }) => [labels.result, value]),
    [["failed", 1]],
  );
});
