/** The controller at a fake API server: what is stored, what is told, and what is left when it is disturbed. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { FINALIZER } from "../src/experiments.ts";
import { NAMESPACE, Shop } from "./shop.ts";

let shop: Shop;

beforeEach(async () => {
  shop = await Shop.open();
});
afterEach(() => shop.close());

async function until(what: string, holds: () => boolean, timeoutMs = 30_000): Promise<void> {
  const endsMs = performance.now() + timeoutMs;
  while (!holds()) {
    assert.ok(performance.now() < endsMs, `never: ${what}; ${JSON.stringify(shop.get("one"))}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const statusOf = (name: string) => shop.get(name)?.status ?? {};
const outcome = (name: string) => [statusOf(name).phase, statusOf(name).verdict, statusOf(name).reason].join(" ");
const hasEnded = (name: string) => () => statusOf(name).completionTime !== undefined;
const isSettled = (name: string) => () =>
  hasEnded(name)() && statusOf(name).reportRef !== undefined && !shop.get(name)?.metadata.finalizers?.length;

test("an experiment passes: finalizer first and last, one event for each phase, a report", async () => {
  const before = shop.make("one");
  assert.equal(before.metadata.finalizers, undefined);
  shop.start();
  await until("it ends", isSettled("one"));
  assert.equal(outcome("one"), "Completed Passed HypothesisHeld");
  const writes = shop.server.requests.filter((line) => /^(PATCH|PUT) .*\/one/.test(line));
  assert.match(writes[0] ?? "", /^PATCH .*\/one$/, "the finalizer is the first thing that is written");
  assert.match(writes.at(-1) ?? "", /^PATCH .*\/one$/, "and goes last");
  const events = shop.server
    .paths()
    .filter((path) => path.includes("/events/"))
    .map((path) => shop.server.get(path));
  assert.deepEqual(
    events.map(({ reason }) => reason),
    ["Pending", "Baseline", "Injecting", "Running", "Healing", "Recovering", "Judging", "Completed"],
  );
  assert.match(events.at(-1).note, /^Passed HypothesisHeld: /);
  const report = shop.server.get(`/api/v1/namespaces/${NAMESPACE}/configmaps/one-report`);
  assert.equal(JSON.parse(report.data["report.json"]).status.verdict, "Passed");
  assert.deepEqual(Object.keys(report.data), ["report.json", "junit.xml", "report.html"]);
  assert.equal(report.metadata.ownerReferences[0].uid, shop.get("one").metadata.uid);
  assert.deepEqual(statusOf("one").reportRef, { kind: "ConfigMap", name: "one-report" });
});

test("others' finalizers stay", async () => {
  const object = shop.make("one");
  shop.server.put(shop.pathOf("one"), {
    ...object,
    metadata: { ...object.metadata, finalizers: ["else.example/other"] },
  });
  shop.start();
  await until("ours is there", () => shop.get("one")?.metadata.finalizers?.includes(FINALIZER));
  await until("it ends", hasEnded("one"));
  await until("ours is gone", () => !shop.get("one")?.metadata.finalizers?.includes(FINALIZER));
  assert.deepEqual(shop.get("one").metadata.finalizers, ["else.example/other"]);
});

test("one at a time: the next one says for whom it waits, and is not late when its turn comes", async () => {
  shop.make("one", { baselineSeconds: 30, durationSeconds: 40 });
  await new Promise((resolve) => setTimeout(resolve, 5)); // Their order is that of their creation.
  shop.make("two", { startDeadlineSeconds: 60 });
  shop.start();
  await until("the second waits", () => statusOf("two").reason === "Queued");
  assert.equal(statusOf("two").message, "waits for one to end");
  await until("the second runs", () => statusOf("two").phase === "Running");
  assert.ok(hasEnded("one")());
  await until("both have ended", hasEnded("two"));
  assert.equal(outcome("two"), "Completed Passed HypothesisHeld");
});

test("deleted while the fault is there: it is healed, then the finalizer goes, and with it the experiment", async () => {
  shop.make("one");
  shop.start();
  await until("the fault is there", () => shop.faults.size === 1);
  shop.server.delete(shop.pathOf("one"));
  assert.notEqual(shop.get("one"), undefined, "the finalizer holds it");
  await until("it is gone", () => shop.get("one") === undefined);
  assert.equal(shop.faults.size, 0);
  assert.equal(shop.healed.length, 1);
});

test("aborted while the fault is there: the heal begins at once", async () => {
  shop.make("one", { durationSeconds: 60 });
  shop.start();
  await until("the fault is there", () => shop.faults.size === 1);
  const askedMs = performance.now();
  shop.abort("one");
  await until("it is healed", () => shop.healed.length === 1);
  assert.ok(performance.now() - askedMs < 1_000, `${performance.now() - askedMs} ms`);
  await until("it ends", hasEnded("one"));
  assert.equal(outcome("one"), "Aborted Inconclusive AbortedByUser");
});

test("a controller that ends amid the fault leaves it to the next one, which injects nothing again", async () => {
  shop.make("one");
  const stop = shop.start();
  await until("the fault is there", () => shop.faults.size === 1 && statusOf("one").phase === "Running");
  await stop();
  assert.equal(statusOf("one").phase, "Running");
  shop.start();
  await until("it ends", isSettled("one"));
  assert.equal(outcome("one"), "Completed Passed HypothesisHeld");
  assert.deepEqual(shop.injected, [...new Set(shop.injected)]);
  assert.equal(shop.injected.length, 1);
});

test("two controllers at once inject once and end with one verdict", async () => {
  shop.make("one");
  shop.start();
  shop.start();
  await until("it ends", isSettled("one"));
  assert.equal(outcome("one"), "Completed Passed HypothesisHeld");
  assert.equal(shop.injected.length, 1);
  assert.equal(shop.faults.size, 0);
});

test("the safety lever stops what runs and heals it; nothing new begins", async () => {
  shop.make("one", { durationSeconds: 60 });
  shop.start();
  await until("the fault is there", () => shop.faults.size === 1);
  shop.pullLever();
  await until("it ends", hasEnded("one"));
  assert.equal(outcome("one"), "Aborted Inconclusive AbortedBySafetyLever");
  assert.equal(shop.faults.size, 0);
  shop.make("two");
  await until("the second ends", hasEnded("two"));
  assert.equal(outcome("two"), "Completed Inconclusive NotAllowed");
  assert.match(statusOf("two").message, /safety lever/);
  assert.equal(shop.injected.length, 1);
});

test("a namespace that has not opted in is left alone, and the message says what it needs", async () => {
  shop.optIn("false");
  shop.make("one");
  shop.start();
  await until("it ends", hasEnded("one"));
  assert.equal(outcome("one"), "Completed Inconclusive NotAllowed");
  assert.match(statusOf("one").message, /chaos.ordermesh.dev\/enabled=true/);
  assert.deepEqual(shop.injected, []);
});

test("a heal that fails is tried on, said, and counted; the finalizer stays until it is done", async () => {
  shop.make("one", { recoverySeconds: 5 });
  shop.healError = "the etcd is away";
  shop.start();
  await until("it says so", () => statusOf("one").phase === "HealFailed");
  assert.ok(shop.get("one").metadata.finalizers.includes(FINALIZER));
  const condition = statusOf("one").conditions.find(({ type }: { type: string }) => type === "Healed");
  assert.match(condition.message, /the etcd is away/);
  while ((await shop.metrics.healFailures.get()).values[0]?.value !== 1)
    // Counted after it is stored.
    await new Promise((resolve) => setTimeout(resolve, 5));
  shop.healError = undefined;
  await until("it ends", hasEnded("one"));
  assert.equal(outcome("one"), "Completed Failed HealIncomplete");
  assert.equal(shop.faults.size, 0);
});

for (const [what, status] of [
  ["refuses", 500],
  ["hangs up", 0],
  ["says that it was changed", 409],
] as const)
  test(`an API server that ${what} now and then only costs time`, async () => {
    shop.make("one", { durationSeconds: 120 }); // Time enough to store what was done.
    shop.start();
    for (const method of ["GET", "PUT", "PATCH", "POST"]) shop.server.trouble({ method, path: /./, status, times: 3 });
    await until("the fault is there", () => shop.faults.size === 1);
    shop.server.trouble({ method: "PUT", path: /status/, status, times: 3 });
    await until("it ends", isSettled("one"));
    assert.equal(outcome("one"), "Completed Passed HypothesisHeld");
    assert.equal(shop.faults.size, 0);
  });

test("what is left of an experiment that is gone is swept", async () => {
  shop.faults.set("uid-of-payment-1#1", "00000000-0000-4000-8000-000000000000");
  shop.start();
  await until("it is gone", () => shop.faults.size === 0);
});

test("an object that our schema refuses ends at once, with every reason", async () => {
  shop.make("one", { durationSeconds: 2, action: { type: "PodKill" } });
  shop.start();
  await until("it ends", hasEnded("one"));
  assert.equal(outcome("one"), "Completed Inconclusive NotValid");
  assert.match(statusOf("one").message, /durationSeconds/);
  assert.deepEqual(shop.injected, []);
});

test("one with a time to live goes after it", async () => {
  shop.make("one", { ttlSecondsAfterFinished: 20 });
  shop.start();
  await until("it ends", hasEnded("one"));
  await until("it is gone", () => shop.get("one") === undefined);
});
