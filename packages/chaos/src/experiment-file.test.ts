import assert from "node:assert/strict";
import { test } from "node:test";
import { ExperimentFileError, readExperiments } from "./experiment-file.ts";

const GOOD = `apiVersion: chaos.ordermesh.dev/v1alpha1
kind: ChaosExperiment
metadata: { name: kill-payment }
spec:
  target: { selector: { matchLabels: { app.kubernetes.io/component: payment } }, maxTargets: 1, maxPercent: 50 }
  action: { type: PodKill, podKill: { times: 3, everySeconds: 15 } }
  durationSeconds: 60
  deadlineSeconds: 300
`;
const given = { createdAtMs: 0, uid: (name: string) => `uid-${name}` };

test("a file gives experiments with their defaults", () => {
  const [experiment] = readExperiments(GOOD, given);
  assert.equal(experiment?.uid, "uid-kill-payment");
  assert.equal(experiment?.spec.baselineSeconds, 15);
  assert.equal(experiment?.spec.workload.ratePerSecond, 20);
  assert.equal(experiment?.spec.target.minHealthyRemaining, 1);
  assert.deepEqual(experiment?.spec.action, {
    type: "PodKill",
    podKill: { gracePeriodSeconds: 0, everySeconds: 15, times: 3 },
  });
});

test("wrong files are refused with the field to blame", () => {
  const refuses = (from: string, to: string, message: RegExp) =>
    assert.throws(
      () => readExperiments(GOOD.replace(from, to), given),
      (error: unknown) => error instanceof ExperimentFileError && message.test(error.message),
      `${from} -> ${to}`,
    );
  refuses("kind: ChaosExperiment", "kind: Chaos", /kind/);
  refuses("deadlineSeconds: 300", "deadlineSeconds: 100", /spec\.deadlineSeconds: must be at least/);
  refuses("{ app.kubernetes.io/component: payment }", "{}", /matchLabels: must name at least one label/);
  refuses("maxTargets: 1, ", "", /spec\.target\.maxTargets/);
  refuses("maxPercent: 50", "maxPercent: 101", /spec\.target\.maxPercent/);
  refuses("times: 3", "times: 30", /action\.podKill: has more rounds/);
  refuses("type: PodKill, podKill", "type: Freeze, podKill", /spec\.action: must have the member/);
  refuses("type: PodKill, podKill: {", "type: PodKill, freeze: {}, podKill: {", /spec\.action: must have the member/);
  refuses("durationSeconds: 60", "durationSeconds: 1000000000", /spec\.durationSeconds/);
  refuses("durationSeconds: 60", "durationSeconds: 60\n  durationSeconds: 61", /unique/);
  refuses("durationSeconds: 60", "durationSeconds: 60\n  unknown: 1", /nrecognized/);
  refuses(GOOD, "", /holds no experiment|document/);
});
