import assert from "node:assert/strict";
import { test } from "node:test";
import { readExperiments } from "./experiment-file.ts";
import { fuzz } from "./fuzz.ts";
import { composeSchedule, type Schedule } from "./schedule.ts";

const CATALOGUE = ["payment", "order", "inventory", "shipping", "notification"].flatMap((component) =>
  readExperiments(
    `apiVersion: chaos.ordermesh.dev/v1alpha1
kind: ChaosExperiment
metadata: { name: freeze-${component} }
spec:
  target: { selector: { matchLabels: { app.kubernetes.io/component: ${component} } }, maxTargets: 1, maxPercent: 50 }
  action: { type: Freeze, freeze: {} }
  durationSeconds: 15
  deadlineSeconds: 300
`,
    { createdAtMs: 0, uid: (name) => name },
  ),
);
const has = ({ steps }: Schedule, name: string) => steps.some((step) => step.experiment.name === name);
const options = { catalogue: CATALOGUE, seed: 1, rounds: 20, maxShrinkRuns: 30, say: () => undefined };

test("a planted bug is found, and the schedule is only what it takes", async () => {
  const found = await fuzz({
    ...options,
    run: async (schedule) => (has(schedule, "freeze-shipping") ? ["OrderPerAggregate"] : []),
  });
  assert.deepEqual(
    found?.schedule.steps.map((step) => [step.experiment.name, step.atSeconds, step.experiment.spec.durationSeconds]),
    [["freeze-shipping", 0, 5]],
  );
  assert.deepEqual(found?.violated, ["OrderPerAggregate"]);
});

test("another violation on the way is not taken for the one that was found", async () => {
  const seed = [1, 2, 3, 4, 5, 6].find((it) => has(composeSchedule(CATALOGUE, it), "freeze-order"));
  assert.ok(seed !== undefined);
  const run = async (schedule: Schedule) => (has(schedule, "freeze-order") ? ["NoDoubleCharge"] : ["MoneyConserved"]);
  const found = await fuzz({ ...options, seed, run });
  assert.deepEqual(
    found?.schedule.steps.map(({ experiment }) => experiment.name),
    ["freeze-order"],
  );
});

test("a system without a bug is run once for each seed, and nothing is found", async () => {
  const seeds: number[] = [];
  const found = await fuzz({
    ...options,
    run: async ({ seed }) => {
      seeds.push(seed);
      return [];
    },
  });
  assert.equal(found, undefined);
  assert.deepEqual(
    seeds,
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
});
