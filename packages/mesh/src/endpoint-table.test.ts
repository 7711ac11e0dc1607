import assert from "node:assert/strict";
import { test } from "node:test";
import { anEndpoint, newMetrics, silent } from "../test/fixtures.ts";
import { endpointKey } from "./endpoint.ts";
import { EndpointTable } from "./endpoint-table.ts";
import { ManualClock } from "./manual-clock.ts";
import { MemoryStore } from "./memory-store.ts";

function newTable() {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  const metrics = newMetrics();
  const table = new EndpointTable({ store, prefix: "/mesh", clock, log: silent, metrics });
  const add = (instance: string, service = "echo") => {
    const endpoint = anEndpoint(instance, { service });
    store.put(endpointKey("/mesh", endpoint), JSON.stringify(endpoint));
  };
  const instances = () => table.of("echo").map(({ instance }) => instance);
  return { clock, store, metrics, table, add, instances };
}

async function sum(metric: { get(): Promise<{ values: { value: number }[] }> }): Promise<number> {
  return (await metric.get()).values.reduce((total, { value }) => total + value, 0);
}

test("endpoints are listed by service, in the order of their instances, and go when they are removed", async () => {
  const { clock, store, metrics, table, add, instances } = newTable();
  add("b");
  add("a");
  add("x", "other");
  await clock.advance(0);
  assert.deepEqual(instances(), ["a", "b"]);
  assert.deepEqual([...table.services.keys()].sort(), ["echo", "other"]);
  store.delete("/mesh/endpoints/echo/a");
  assert.deepEqual(instances(), ["b"]);
  store.delete("/mesh/endpoints/echo/b");
  assert.deepEqual(instances(), []);
  assert.equal(await sum(metrics.endpoints), 1, "the gauge counts the other service's");
});

test("an endpoint whose document has not changed stays the same object", async () => {
  const { clock, table, add, store } = newTable();
  add("a");
  await clock.advance(0);
  const [before] = table.of("echo");
  add("b");
  add("a");
  assert.equal(table.of("echo")[0], before);
  store.put("/mesh/endpoints/echo/a", JSON.stringify(anEndpoint("a", { weight: 2 })));
  assert.equal(table.of("echo")[0]?.weight, 2);
});

test("a change touches its own service only", async () => {
  const { clock, table, add, store } = newTable();
  const heard: string[] = [];
  for (const service of ["echo", "other"]) table.onChange(service, () => heard.push(service));
  add("a");
  add("x", "other");
  await clock.advance(0);
  const others = table.of("other");
  heard.length = 0;
  add("b");
  add("b");
  assert.deepEqual(heard, ["echo"], "and a snapshot without a change touches none");
  assert.equal(table.of("other"), others, "still the same array");
  store.delete("/mesh/endpoints/other/x");
  assert.deepEqual(heard, ["echo", "other"]);
  assert.deepEqual(table.of("other"), []);
  assert.equal(table.services.has("other"), false);
});

test("an endpoint whose document has become bad is gone, and comes back with a good one", async () => {
  const { clock, store, add, instances } = newTable();
  add("a");
  await clock.advance(0);
  store.put("/mesh/endpoints/echo/a", "not json");
  assert.deepEqual(instances(), []);
  add("a");
  assert.deepEqual(instances(), ["a"]);
});

test("a bad document is skipped, reported once, and hurts no other", async () => {
  const { clock, store, metrics, add, instances } = newTable();
  store.put("/mesh/endpoints/echo/bad", "not json");
  add("a");
  add("b");
  await clock.advance(0);
  assert.deepEqual(instances(), ["a", "b"]);
  assert.equal(await sum(metrics.badEndpoints), 1);
  store.put("/mesh/endpoints/echo/bad", "still not json");
  assert.equal(await sum(metrics.badEndpoints), 2);
});

test("while the store cannot be reached, what was known stays", async () => {
  const { clock, store, add, instances } = newTable();
  add("a");
  await clock.advance(0);
  store.setReachable(false);
  store.delete("/mesh/endpoints/echo/a");
  await clock.advance(3_600_000);
  assert.deepEqual(instances(), ["a"]);
  store.setReachable(true);
  assert.deepEqual(instances(), []);
});

test("when the store forgot everything, known endpoints stay until they had time to come back", async () => {
  const { clock, store, add, instances } = newTable();
  add("a");
  add("b");
  await clock.advance(0);
  store.wipe();
  assert.deepEqual(instances(), ["a", "b"]);
  await clock.advance(5_000);
  add("a");
  assert.deepEqual(instances(), ["a", "b"]);
  store.delete("/mesh/endpoints/echo/a");
  assert.deepEqual(instances(), ["b"], "what came back and was then removed is gone");
  add("a");
  await clock.advance(10_000);
  assert.deepEqual(instances(), ["a"], "what did not come back is gone");
});

test("a caller waits for the first endpoint", async () => {
  const { clock, table, add } = newTable();
  const waiting = table.waitFor("echo", 1_000, undefined);
  await clock.advance(900);
  add("x", "other");
  add("a");
  assert.deepEqual(
    (await waiting).map(({ instance }) => instance),
    ["a"],
  );
});

test("waiting ends empty when the time is over, on abort, and when too many wait", async () => {
  const { clock, table } = newTable();
  const late = table.waitFor("echo", 1_000, undefined);
  await clock.advance(1_000);
  assert.deepEqual(await late, []);

  const abort = new AbortController();
  const aborted = table.waitFor("echo", 1_000, abort.signal);
  await clock.advance(0);
  abort.abort();
  assert.deepEqual(await aborted, []);

  const crowd = Array.from({ length: 1_024 }, () => table.waitFor("echo", 1_000, undefined));
  assert.deepEqual(await table.waitFor("echo", 1_000, undefined), [], "at once");
  await clock.advance(1_000);
  assert.deepEqual((await Promise.all(crowd)).flat(), []);
});
