import assert from "node:assert/strict";
import { test } from "node:test";
import { removeFinalized } from "./remove-finalized.ts";

const GRACE_MS = 5_000;

/** A cluster whose operator, where there is one, ends an object a second after its deletion. */
function clusterOf(names: readonly string[], hasOperator: boolean) {
  const left = new Map<string, "there" | "deleted">(names.map((name) => [name, "there"]));
  const ended: string[] = [];
  let nowMs = 0;
  const objects = {
    names: async () => [...left.keys()],
    remove: async (name: string) => void left.set(name, "deleted"),
    endFinalizers: async (name: string) => {
      assert.equal(left.get(name), "deleted");
      left.delete(name);
      ended.push(name);
    },
  };
  const sleep = async (ms: number) => {
    nowMs += ms;
    if (hasOperator) for (const [name, state] of left) if (state === "deleted") left.delete(name);
  };
  const run = () =>
    removeFinalized({ objects, what: "topics", graceMs: GRACE_MS, nowMs: () => nowMs, sleep, say: () => undefined });
  return { run, left, ended, elapsedMs: () => nowMs };
}

test("objects are deleted, and their operator ends them", async () => {
  const cluster = clusterOf(["orders", "shipments"], true);
  await cluster.run();
  assert.deepEqual([[...cluster.left], cluster.ended], [[], []]);
  assert.ok(cluster.elapsedMs() < GRACE_MS);
});

test("without an operator the finalizers are ended after the grace, and not before", async () => {
  const cluster = clusterOf(["orders", "shipments"], false);
  await cluster.run();
  assert.deepEqual(cluster.ended, ["orders", "shipments"]);
  assert.ok(cluster.elapsedMs() >= GRACE_MS);
});

test("nothing to remove takes no time", async () => {
  const cluster = clusterOf([], false);
  await cluster.run();
  assert.equal(cluster.elapsedMs(), 0);
});
