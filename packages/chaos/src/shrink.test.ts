import assert from "node:assert/strict";
import { test } from "node:test";
import type { Experiment } from "./backend.ts";
import { readExperiments } from "./experiment-file.ts";
import { composeSchedule, endOf, mayOverlap, readSchedule, type Schedule, writeSchedule } from "./schedule.ts";
import { shrink } from "./shrink.ts";

const given = { createdAtMs: 0, uid: (name: string) => name };
const experiment = (name: string, component: string, action: string): Experiment => {
  const text = `apiVersion: chaos.ordermesh.dev/v1alpha1
kind: ChaosExperiment
metadata: { name: ${name} }
spec:
  target: { selector: { matchLabels: { app.kubernetes.io/component: ${component} } }, maxTargets: 1, maxPercent: 50 }
  action: ${action}
  durationSeconds: 15
  deadlineSeconds: 300
`;
  const [read] = readExperiments(text, given);
  assert.ok(read !== undefined);
  return read;
};
const CATALOGUE = [
  experiment("kill-payment", "payment", "{ type: PodKill, podKill: { times: 3, everySeconds: 5 } }"),
  experiment("freeze-order", "order", "{ type: Freeze, freeze: {} }"),
  experiment("outage-etcd", "etcd", "{ type: Outage, outage: {} }"),
  experiment("abort-inventory", "inventory", "{ type: MeshFault, meshFault: { abort: unavailable } }"),
  experiment("partition", "order", "{ type: Partition, partition: { peer: kafka } }"),
];
const names = ({ steps }: Schedule) => steps.map((step) => step.experiment.name);
const has = (schedule: Schedule, name: string) => names(schedule).includes(name);
const schedules = (seeds: number) => Array.from({ length: seeds }, (_, seed) => composeSchedule(CATALOGUE, seed));

test("one seed is one schedule, and seeds differ", () => {
  assert.deepEqual(composeSchedule(CATALOGUE, 7), composeSchedule(CATALOGUE, 7));
  const different = new Set(schedules(50).map((schedule) => JSON.stringify(schedule)));
  assert.ok(different.size > 45, `${different.size} of 50 schedules differ`);
});

test("a schedule has two to four faults; some overlap, and none that touch the same thing", () => {
  let overlaps = 0;
  for (const { steps } of schedules(300)) {
    assert.ok(steps.length >= 2 && steps.length <= 4);
    for (const [index, step] of steps.entries())
      for (const later of steps.slice(index + 1)) {
        if (later.atSeconds >= endOf(step)) continue;
        overlaps += 1;
        assert.ok(mayOverlap(step.experiment, later.experiment), `${step.experiment.name} ${later.experiment.name}`);
      }
  }
  assert.ok(overlaps > 20, `${overlaps} overlaps in 300 schedules`);
});

test("a fault on etcd never goes on beside one that is made with etcd", () => {
  const [, freeze, etcd, abort] = CATALOGUE;
  assert.ok(etcd !== undefined && abort !== undefined && freeze !== undefined);
  assert.equal(mayOverlap(etcd, abort), false);
  assert.equal(mayOverlap(abort, etcd), false);
  assert.equal(mayOverlap(etcd, freeze), true);
});

test("every schedule is a file of valid experiments, and comes back from it", () => {
  for (const schedule of schedules(15)) {
    const read = readSchedule(writeSchedule(schedule, "NoDoubleCharge\nmore"), given);
    assert.equal(read.seed, schedule.seed);
    assert.equal(read.ratePerSecond, schedule.ratePerSecond);
    assert.deepEqual(
      read.steps.map(({ experiment: { spec }, atSeconds }) => [
        atSeconds,
        spec.action,
        spec.durationSeconds,
        spec.seed,
      ]),
      schedule.steps.map(({ experiment: { spec }, atSeconds }) => [
        atSeconds,
        spec.action,
        spec.durationSeconds,
        spec.seed,
      ]),
    );
  }
});

test("a file without times is refused", () => {
  const text = writeSchedule(composeSchedule(CATALOGUE, 1), "");
  assert.throws(() => readSchedule(text.replaceAll("at-seconds:", "other:"), given), /at-seconds/);
});

test("what fails because of one fault shrinks to that fault, as short as it may be, at once", async () => {
  const isFailing = (schedule: Schedule) =>
    schedule.steps.some((step) => step.experiment.name === "freeze-order" && step.experiment.spec.durationSeconds >= 8);
  const failing = schedules(200).filter(isFailing);
  assert.ok(failing.length > 20);
  for (const schedule of failing) {
    const { schedule: least, runs } = await shrink(schedule, { fails: async (it) => isFailing(it), maxRuns: 40 });
    assert.deepEqual(names(least), ["freeze-order"]);
    const [step] = least.steps;
    assert.ok(step !== undefined && isFailing(least) && step.experiment.spec.durationSeconds <= 10);
    assert.equal(step.atSeconds, 0);
    assert.ok(runs <= 12, `${runs} runs`);
  }
});

test("what fails because of two faults at the same time keeps both, and their overlap", async () => {
  const isFailing = ({ steps }: Schedule) => {
    const kill = steps.find((step) => step.experiment.name === "kill-payment");
    const freeze = steps.find((step) => step.experiment.name === "freeze-order");
    if (kill === undefined || freeze === undefined) return false;
    return kill.atSeconds < endOf(freeze) && freeze.atSeconds < endOf(kill);
  };
  const failing = schedules(2_000).filter((schedule) => isFailing(schedule) && schedule.steps.length > 2);
  assert.ok(failing.length > 10, `${failing.length}`);
  for (const schedule of failing) {
    const { schedule: least } = await shrink(schedule, { fails: async (it) => isFailing(it), maxRuns: 60 });
    assert.ok(isFailing(least));
    assert.equal(least.steps.length, 2);
  }
});

test("no more runs are made than allowed, and the result is one that was seen to fail", async () => {
  const schedule = composeSchedule(CATALOGUE, 3);
  const seen: Schedule[] = [schedule];
  const fails = async (candidate: Schedule) => {
    const isFailing = has(candidate, names(schedule)[0] ?? "");
    if (isFailing) seen.push(candidate);
    return isFailing;
  };
  const { schedule: least, runs } = await shrink(schedule, { fails, maxRuns: 2 });
  assert.ok(runs <= 2);
  assert.ok(seen.some((candidate) => JSON.stringify(candidate) === JSON.stringify(least)));
});
