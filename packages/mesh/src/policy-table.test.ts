import assert from "node:assert/strict";
import { test } from "node:test";
import { newMetrics, silent } from "../test/fixtures.ts";
import { ManualClock } from "./manual-clock.ts";
import { MemoryStore } from "./memory-store.ts";
import { PolicyTable } from "./policy-table.ts";

async function newTable() {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  const metrics = newMetrics();
  const table = new PolicyTable({ store, prefix: "/mesh", clock, log: silent, metrics });
  const put = async (service: string, text: string) => {
    store.put(`/mesh/policy/${service}`, text);
    await clock.advance(0);
  };
  const timeoutOf = (service: string) => table.of(service, "Charge").timeoutMs;
  const rejected = async () => (await metrics.policyRejected.get()).values[0]?.value;
  return { clock, store, table, put, timeoutOf, rejected, metrics };
}

const timeout = (timeoutMs: unknown) => JSON.stringify({ schemaVersion: 1, timeoutMs });

test("a change holds for the next call, and its revision is published", async () => {
  const { put, timeoutOf, table, metrics } = await newTable();
  await put("payment", timeout(100));
  assert.equal(timeoutOf("payment"), 100);
  const before = table.revision;
  await put("payment", timeout(200));
  assert.equal(timeoutOf("payment"), 200);
  assert.ok(table.revision > before);
  assert.equal((await metrics.policyRevision.get()).values[0]?.value, Number(table.revision));
});

test("what is not valid changes nothing and is counted once", async () => {
  const { put, timeoutOf, rejected } = await newTable();
  await put("payment", timeout(100));
  await put("payment", timeout("soon"));
  await put("inventory", timeout(300));
  assert.deepEqual([timeoutOf("payment"), timeoutOf("inventory"), await rejected()], [100, 300, 1]);
  await put("payment", timeout(400));
  assert.equal(timeoutOf("payment"), 400);
});

test("a document is its own service's only, and the default one everybody's", async () => {
  const { put, store, clock, timeoutOf } = await newTable();
  await put("pay", timeout(100));
  assert.equal(timeoutOf("payment"), undefined);
  await put("default", timeout(500));
  assert.deepEqual([timeoutOf("pay"), timeoutOf("payment")], [100, 500]);
  store.delete("/mesh/policy/pay");
  await clock.advance(0);
  assert.equal(timeoutOf("pay"), 500);
});

test("fault rules come and go; one that is not valid holds up no other", async () => {
  const { store, clock, table } = await newTable();
  const fault = { schemaVersion: 1, service: "payment", share: 1, delayMs: 5, expiresAtMs: clock.wallMs() + 1_000 };
  store.put("/mesh/faults/slow", JSON.stringify(fault));
  store.put("/mesh/faults/bad", "{}");
  await clock.advance(0);
  assert.deepEqual(table.faults, [fault]);
  store.delete("/mesh/faults/slow");
  await clock.advance(0);
  assert.deepEqual(table.faults, []);
});
