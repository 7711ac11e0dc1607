/** Pods that are killed and workloads that are stopped, at a fake API server. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Action } from "@ordermesh/chaos/action";
import { pathOf } from "@ordermesh/kubernetes/kube-api";
import { backend, contextOf, deletePod, getPod, injected, plan, putPod, SELECTOR, UID, world } from "./world.ts";

const KILL: Action = { type: "PodKill", podKill: { gracePeriodSeconds: 0, everySeconds: 5, times: 1 } };

test("a pod is killed by its uid; it counts when it is gone and as many as before are ready", async () => {
  putPod("payment-1");
  putPod("payment-2");
  const [cluster, context] = [backend(), contextOf(KILL)];
  const [target] = await plan(cluster, context);
  assert.ok(target);
  assert.equal(await cluster.isHealed(target, context), true, "what was never injected is healed");
  await cluster.inject(target, context);
  assert.equal(getPod("payment-1"), undefined);
  const acted = injected(target);
  assert.equal((await cluster.evidence([acted], context)).observed, 0, "there is no other one yet");
  assert.equal(await cluster.isHealed(acted, context), false);
  putPod("payment-3", { isReady: false });
  assert.equal(await cluster.isHealed(acted, context), false);
  putPod("payment-3");
  assert.deepEqual(await cluster.evidence([acted], context), {
    expected: 1,
    observed: 1,
    detail: "1 pods are gone, 2 of 2 are ready",
  });
  assert.equal(await cluster.isHealed(acted, context), true);
});

test("the one that took its name is not killed in its place", async () => {
  putPod("payment-1");
  const [cluster, context] = [backend(), contextOf(KILL)];
  const [target] = await plan(cluster, context);
  assert.ok(target);
  deletePod("payment-1");
  putPod("payment-1");
  await cluster.inject(target, context);
  assert.notEqual(getPod("payment-1"), undefined);
});

test("who does not lead any more injects nothing", async () => {
  putPod("payment-1");
  const [cluster, context] = [backend(), contextOf(KILL)];
  const [target] = await plan(cluster, context);
  assert.ok(target);
  world.isLeading = false;
  await assert.rejects(cluster.inject(target, context), /does not lead/);
  assert.notEqual(getPod("payment-1"), undefined);
});

test("the chaos system's own pods, and those that are labelled so, are protected", async () => {
  putPod("payment-1", { labels: { "chaos.ordermesh.dev/protected": "true" } });
  const [one] = await backend().find(SELECTOR);
  assert.equal(one?.isProtected, true);
  world.server.put(pathOf("v1", "shop", "pods", "chaos-1"), {
    metadata: { labels: { "app.kubernetes.io/component": "chaos" } },
  });
  const [own] = await backend().find({ "app.kubernetes.io/component": "chaos" });
  assert.equal(own?.isProtected, true);
});

const OUTAGE: Action = { type: "Outage", outage: {} };
const SCALE = pathOf("apps/v1", "shop", "statefulsets", "payment", "scale");

function putStatefulSet(facts: object = {}): void {
  world.server.put(pathOf("apps/v1", "shop", "statefulsets", "payment"), {
    metadata: { ...facts },
    spec: { replicas: 2 },
  });
  world.server.put(SCALE, { spec: { replicas: 2 } });
  const owner = { kind: "StatefulSet", name: "payment", controller: true };
  putPod("payment-0", { owner });
  putPod("payment-1", { owner });
}

test("an outage notes what there was, scales to nothing, and is undone from the note alone", async () => {
  putStatefulSet();
  const [cluster, context] = [backend(), contextOf(OUTAGE)];
  const targets = await plan(cluster, context);
  for (const target of targets) await cluster.inject(target, context);
  assert.equal(world.server.get(SCALE).spec.replicas, 0);
  assert.deepEqual([...(await cluster.owners())], [UID]);
  for (const name of ["payment-0", "payment-1"]) deletePod(name);
  assert.equal((await cluster.evidence(targets.map(injected), context)).observed, 2);
  assert.equal(await backend().sweep(UID), 1, "by another process, without the status");
  assert.equal(world.server.get(SCALE).spec.replicas, 2);
  assert.equal(await backend().sweep(UID), 0);
  assert.ok(targets[0]);
  assert.equal(await cluster.isHealed(targets[0], context), false, "its pods are not back yet");
  putPod("payment-0");
  putPod("payment-1");
  assert.equal(await cluster.isHealed(targets[0], context), true);
});

test("what somebody else has scaled meanwhile stays as it is", async () => {
  putStatefulSet();
  const [cluster, context] = [backend(), contextOf(OUTAGE)];
  const [target] = await plan(cluster, context);
  assert.ok(target);
  await cluster.inject(target, context);
  world.server.put(SCALE, { spec: { replicas: 5 } });
  await cluster.heal(target, context);
  assert.equal(world.server.get(SCALE).spec.replicas, 5);
});

for (const [what, facts, target, why] of [
  ["an operator's", { ownerReferences: [{ kind: "Kafka", name: "shop" }] }, {}, /an operator keeps payment/],
  ["one that the bounds leave pods of", {}, { maxTargets: 1 }, /can only be stopped with all its 2 pods/],
] as const)
  test(`a workload is left alone: ${what}`, async () => {
    putStatefulSet(facts);
    const [cluster, context] = [backend(), contextOf(OUTAGE, target)];
    const [first] = await plan(cluster, context);
    assert.ok(first);
    await assert.rejects(cluster.inject(first, context), why);
    assert.equal(world.server.get(SCALE).spec.replicas, 2);
    assert.equal((await cluster.owners()).size, 0);
  });
