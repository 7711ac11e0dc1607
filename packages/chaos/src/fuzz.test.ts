import assert from "node:assert/strict";
import { test } from "node:test";
import { readExperiments } from "./experiment-file.ts";
import { fuzz, type Outcome } from "./fuzz.ts";
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
const breaks = (...broken: string[]): Outcome => ({ broken, unknown: [] });
const options = {
  catalogue: CATALOGUE,
  seed: 1,
  goesOn: (schedules: number) => schedules < 20,
  maxShrinkRuns: 30,
  say: () => undefined,
};

test("a planted bug is found, and the schedule is only what it takes", async () => {
  const { finding: found } = await fuzz({
    ...options,
    run: async (schedule) => (has(schedule, "freeze-shipping") ? breaks("OrderPerAggregate") : breaks()),
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
  const run = async (schedule: Schedule) =>
    has(schedule, "freeze-order") ? breaks("NoDoubleCharge") : breaks("MoneyConserved");
  const { finding: found } = await fuzz({ ...options, seed, run });
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
      return breaks();
    },
  });
  assert.deepEqual(found, { schedules: 20, finding: undefined, untold: 0 });
  assert.deepEqual(
    seeds,
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
});

test("what could not be looked at is not taken for held", async () => {
  const said: string[] = [];
  const found = await fuzz({
    ...options,
    goesOn: (schedules) => schedules < 2,
    say: (line) => said.push(line),
    run: async ({ seed }) => ({ broken: [], unknown: seed === 2 ? ["MoneyConserved"] : [] }),
  });
  assert.deepEqual(found, { schedules: 2, finding: undefined, untold: 1 });
  assert.equal(said.at(-1), "seed 2 breaks nothing that could be told; MoneyConserved could not");
});
