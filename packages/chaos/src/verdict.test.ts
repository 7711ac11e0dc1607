import assert from "node:assert/strict";
import { test } from "node:test";
import { specOf } from "../test/fake-world.ts";
import { unknownConditions, withCondition } from "./condition.ts";
import type { Condition, ExperimentStatus } from "./status.ts";
import { decide } from "./verdict.ts";

const time = (second: number) => new Date(Date.UTC(2026, 0, 1) + second * 1_000).toISOString();
const blank: ExperimentStatus = {
  observedGeneration: 1,
  phase: "Judging",
  verdict: "",
  reason: "",
  message: "would do PodKill",
  target: "payment 1/2",
  healStartTime: time(0),
  healedTime: time(1),
  targets: [],
  checks: [],
  stopConditions: [],
  invariants: [],
  accepted: { before: 99, during: 99, after: 99 },
  conditions: unknownConditions(1, 0),
};
const turn =
  (type: Condition["type"], status: Condition["status"], reason = "Because") =>
  (before: ExperimentStatus) =>
    withCondition(before, { type, status, reason }, 0);
const good = (["Accepted", "BaselineMet", "Injected", "FaultObserved", "Recovered", "InvariantsHeld"] as const).reduce(
  (status, type) => turn(type, "True")(status),
  blank,
);
const violated = { name: "NoOrderLost", held: "False", examined: 1, violations: 1, examples: ["order A"] } as const;
const silent = { name: "edge", phase: "After", samples: 3, errors: 3 } as ExperimentStatus["checks"][number];

type Spoil = (status: ExperimentStatus) => ExperimentStatus;
/** What goes wrong, from the lightest to the heaviest, and what it makes of the verdict. */
const SPOILS: readonly (readonly [string, Spoil])[] = [
  ["Inconclusive TooLittleTraffic", (status) => ({ ...status, accepted: { ...status.accepted, during: 1 } })],
  ["Inconclusive ProbeError", (status) => ({ ...status, checks: [silent] })],
  ["Inconclusive NotDrained", turn("InvariantsHeld", "Unknown", "NotDrained")],
  ["Inconclusive FaultNotObserved", turn("FaultObserved", "False")],
  ["Inconclusive TooFewTargets", turn("Injected", "False", "TooFewTargets")],
  ["Inconclusive NoTargets", turn("Accepted", "False", "NoTargets")],
  ["Inconclusive BaselineNotMet", turn("BaselineMet", "False", "BaselineNotMet")],
  ["Inconclusive AbortedByUser", (status) => ({ ...status, stop: { reason: "Abort", message: "stopped" } })],
  ["Failed HypothesisFalsified", turn("SteadyDuringFault", "False")],
  ["Failed StopCondition", (status) => ({ ...status, stop: { reason: "StopCondition", message: "met" } })],
  ["Failed NotRecovered", turn("Recovered", "False")],
  ["Failed HealIncomplete", (status) => ({ ...status, healedTime: time(31) })],
  ["Failed InvariantViolated", (status) => ({ ...status, invariants: [violated] })],
];
const word = (status: ExperimentStatus) => {
  const { verdict, reason } = decide(specOf(), status);
  return `${verdict} ${reason}`;
};

test("all well is Passed", () => assert.equal(word(good), "Passed HypothesisHeld"));

test("each thing that goes wrong has its verdict, and outweighs all lighter ones", () => {
  let all = good;
  for (const [expected, spoil] of SPOILS) {
    assert.equal(word(spoil(good)), expected);
    all = spoil(all);
    assert.equal(word(all), expected, "together with all that weighs less");
  }
});

test("a dry run judges nothing", () => {
  assert.equal(decide(specOf({ dryRun: true }), good).reason, "DryRun");
});

test("an experiment of which nothing is known is never Passed", () => {
  assert.equal(decide(specOf(), blank).verdict, "Inconclusive");
});
