/** What is asked of instances, and what is taken for a proof. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Action } from "@ordermesh/chaos/action";
import { backend, contextOf, getPod, injected, plan, putPod, serve, UID, world } from "./world.ts";

const PARTITION: Action = { type: "Partition", partition: { peer: "postgres", mode: "Blackhole" } };

test("a partition is a label, a failure that the pod counts is its proof, and sweeping finds it", async () => {
  const asked: string[] = [];
  let errors = 5;
  const port = await serve((method, path, body) => {
    if (method === "PUT") asked.push(`${path} ${body}`);
    return path === "/metrics" ? `db_client_errors_total{error_type="x"} ${errors}\n` : "{}";
  });
  putPod("payment-1", { port });
  const [cluster, context] = [backend(), contextOf(PARTITION)];
  const targets = await plan(cluster, context);
  await cluster.watchFault(context);
  for (const target of targets) await cluster.inject(target, context);
  const { labels } = getPod("payment-1").metadata;
  assert.deepEqual(
    [labels["chaos.ordermesh.dev/cut"], labels["chaos.ordermesh.dev/experiment-uid"]],
    ["postgres", UID],
  );
  assert.equal((await cluster.evidence(targets.map(injected), context)).observed, 0);
  assert.deepEqual(asked, ['/debug/connections {"ports":[5432]}']);
  errors += 1;
  assert.equal((await cluster.evidence(targets.map(injected), context)).observed, 1);
  assert.deepEqual([...(await backend().owners())], [UID]);
  assert.equal(await backend().sweep(UID), 1);
  assert.ok(targets[0]);
  assert.equal(await cluster.isHealed(targets[0], context), true);
});

const crash = (effect: "kill" | "exhaust"): Action => ({
  type: "CrashPoint",
  crashPoint: { point: "payment.captured", effect, times: 2 },
});

for (const [effect, exitCode] of [
  ["kill", 137],
  ["exhaust", 134],
] as const)
  test(`a crash point (${effect}) is armed again in each new process, and counted by how containers ended`, async () => {
    const armed: string[] = [];
    const port = await serve((method, _path, body) => {
      if (method === "PUT") armed.push(body);
      return "{}";
    });
    const died = (restarts: number) => ({
      containerStatuses: [{ restartCount: restarts, lastState: restarts === 4 ? {} : { terminated: { exitCode } } }],
    });
    putPod("payment-1", { port, status: died(4) });
    const [cluster, context] = [backend(), contextOf(crash(effect))];
    const [target] = (await plan(cluster, context)).map(injected);
    assert.ok(target);
    await cluster.inject(target, context);
    assert.equal((await cluster.evidence([target], context)).observed, 0);
    putPod("payment-1", { port, status: died(5) });
    assert.equal((await cluster.evidence([target], context)).observed, 1);
    putPod("payment-1", { port, status: died(6) });
    assert.deepEqual(await cluster.evidence([target], context), {
      expected: 2,
      observed: 2,
      detail: `payment.captured acted 2 times (${effect})`,
    });
    assert.deepEqual(armed, [`payment.captured=1*${effect}`, `payment.captured=1*${effect}`]);
    await cluster.heal(target, context);
    assert.equal(armed.at(-1), "");
  });

test("a process that does not answer stands still; one that answers does not", async () => {
  let isFrozen = false;
  const port = await serve((method, path) => {
    if (method === "PUT" && path === "/debug/stall") isFrozen = true;
    return "{}";
  });
  putPod("payment-1", { port });
  const [cluster, context] = [backend(), contextOf({ type: "Freeze", freeze: {} })];
  const [target] = (await plan(cluster, context)).map(injected);
  assert.ok(target);
  await cluster.inject(target, context);
  assert.equal(isFrozen, true);
  await cluster.evidence([target], context);
  assert.equal((await cluster.evidence([target], context)).observed, 0, "it answers as before");
  world.instance?.removeAllListeners("request");
  assert.equal((await cluster.evidence([target], context)).observed, 0, "once is not enough");
  assert.equal((await cluster.evidence([target], context)).observed, 1);
});

test("connections count where PostgreSQL ended some", async () => {
  putPod("payment-1");
  const [cluster, context] = [
    backend(),
    contextOf({ type: "TerminateConnections", terminateConnections: { everySeconds: 5, times: 1 } }),
  ];
  const targets = (await plan(cluster, context)).map(injected);
  for (const target of targets) await cluster.inject(target, context);
  assert.deepEqual(await cluster.evidence(targets, context), {
    expected: 1,
    observed: 1,
    detail: "PostgreSQL ended 3 connections in 1 rounds",
  });
});

test("what cannot be done says what it needs", () => {
  const closed = backend({ areProcessesOpen: false, hasPolicies: false });
  assert.match(closed.whyNot(crash("kill")) ?? "", /chaos\.failpoints of the chart/);
  assert.match(closed.whyNot(PARTITION) ?? "", /networkPolicies of the chart/);
  assert.match(closed.whyNot({ type: "Compaction", compaction: { changes: 1 } }) ?? "", /networkPolicies of the chart/);
  assert.match(backend().whyNot({ type: "NodeStop", nodeStop: {} }) ?? "", /rights over nodes/);
  assert.equal(backend().whyNot(crash("kill")), undefined);
  assert.equal(backend().whyNot({ type: "Partition", partition: { peer: "order", mode: "Reset" } }), undefined);
});
