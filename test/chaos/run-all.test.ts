/** Experiments on whole systems of this machine: one that passes, one whose fault meets nothing, and one that finds a planted bug. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { env } from "node:process";
import { type TestContext, test } from "node:test";
import type { Experiment } from "@ordermesh/chaos/backend";
import { checkSpec } from "@ordermesh/chaos/experiment";
import { exitCodeOf } from "@ordermesh/chaos/summary";
import { ChaosSystem } from "@ordermesh/chaos-local/chaos-system";
import { type Result, runAll } from "@ordermesh/chaos-local/run-all";
import { silent } from "@ordermesh/local/progress";

function experimentOf(name: string, change: Readonly<Record<string, unknown>>): Experiment {
  const target = {
    selector: { matchLabels: { "app.kubernetes.io/component": "payment" } },
    maxTargets: 1,
    maxPercent: 50,
  };
  const times = { baselineSeconds: 5, durationSeconds: 10, recoverySeconds: 60, deadlineSeconds: 200 };
  const checked = checkSpec({ target, ...times, workload: { ratePerSecond: 5, minAccepted: 5 }, ...change });
  if ("violations" in checked) throw new Error(JSON.stringify(checked.violations));
  const { spec } = checked;
  return {
    ...{ name, namespace: "local", uid: randomUUID(), generation: 1, createdAtMs: Date.now(), isBeingDeleted: false },
    spec,
    status: undefined,
  };
}

async function run(
  t: TestContext,
  experiments: readonly Experiment[],
  wiring: { readonly name: string; readonly entries?: Readonly<Record<string, string>> },
): Promise<Result[]> {
  const { signal } = new AbortController();
  const systems: ChaosSystem[] = [];
  const start = async () => {
    const system = await ChaosSystem.start({ env, progress: silent, signal, ...wiring });
    systems.push(system);
    return system;
  };
  const results = await runAll(experiments, { start, signal, say: (line) => t.diagnostic(line) });
  assert.equal(systems.length, 1);
  const left = systems.flatMap(({ system }) => system.names.filter((name) => system.process(name).pid !== undefined));
  assert.deepEqual(left, []);
  return results;
}

test("a fault that bites and is healed ends Passed; one that meets nothing ends Inconclusive", async (t) => {
  const kill = experimentOf("kill", { action: { type: "PodKill", podKill: { times: 1 } } });
  const fault = { method: "NobodyCallsThis", abort: "unavailable" };
  const miss = experimentOf("miss", { action: { type: "MeshFault", meshFault: fault } });
  const clock = experimentOf("clock", { action: { type: "ClockSkew", clockSkew: { offsetSeconds: 600 } } });
  const results = await run(t, [kill, miss, clock], { name: "chaos-test" });
  assert.deepEqual(
    results.map(({ status }) => `${status.verdict} ${status.reason}`),
    ["Passed HypothesisHeld", "Inconclusive FaultNotObserved", "Inconclusive NotSupported"],
    JSON.stringify(results.map(({ status }) => status.message)),
  );
  const [killed] = results;
  assert.equal(killed?.status.faultEvidence?.observed, 1);
  assert.ok(killed.status.invariants.every(({ held }) => held === "True"));
  assert.ok((killed.report.curve?.points.length ?? 0) > 10, "the report shows the run");
  assert.equal(exitCodeOf(results, 3), 2);
});

test("a planted bug ends Failed with the invariant that it breaks", async (t) => {
  const entries = { payment: "services/payment/test/main-with-bug.ts random-charge-key" };
  const crashPoint = { point: "payment.captured", effect: "kill", times: 1 };
  const crash = experimentOf("crash", { action: { type: "CrashPoint", crashPoint } });
  const results = await run(t, [crash], { name: "chaos-test-bug", entries });
  const status = results[0]?.status;
  assert.equal(`${status?.verdict} ${status?.reason}`, "Failed InvariantViolated", status?.message);
  assert.match(status?.message ?? "", /NoDoubleCharge/);
  assert.equal(exitCodeOf(results, 1), 1);
});
