/** The verdict, from what was recorded: Failed outweighs Inconclusive, Inconclusive outweighs Passed. Pure. */
import { conditionOf } from "./condition.ts";
import type { ExperimentSpec } from "./experiment.ts";
import type { ExperimentStatus, Stop, VerdictWord } from "./status.ts";

export type Judgement = { readonly verdict: VerdictWord; readonly reason: string; readonly message: string };

type Rule = (spec: ExperimentSpec, status: ExperimentStatus) => Judgement | undefined;

const failed = (reason: string, message: string): Judgement => ({ verdict: "Failed", reason, message });
const unclear = (reason: string, message: string): Judgement => ({ verdict: "Inconclusive", reason, message });

/** In order of weight: the first that applies decides. */
const RULES: readonly Rule[] = [
  invariantViolated,
  healIncomplete,
  notRecovered,
  hypothesisFalsified,
  stopped,
  notBegun,
  dryRun,
  tooFewTargets,
  faultNotObserved,
  notJudged,
  probeError,
  tooLittleTraffic,
];

export function decide(spec: ExperimentSpec, status: ExperimentStatus): Judgement {
  for (const rule of RULES) {
    const judgement = rule(spec, status);
    if (judgement !== undefined) return judgement;
  }
  const held = status.invariants.length;
  return {
    verdict: "Passed",
    reason: "HypothesisHeld",
    message: `the fault was seen, ${held} invariants held, and all was well again after ${status.timeToRecoverSeconds ?? 0} s`,
  };
}

function invariantViolated(_spec: ExperimentSpec, { invariants }: ExperimentStatus): Judgement | undefined {
  const violated = invariants.filter(({ held }) => held === "False");
  if (violated.length === 0) return undefined;
  return failed(
    "InvariantViolated",
    violated.map(({ name, violations, examples }) => `${name} (${violations}): ${examples[0] ?? ""}`).join("; "),
  );
}

function healIncomplete(spec: ExperimentSpec, { healStartTime, healedTime }: ExperimentStatus): Judgement | undefined {
  if (healStartTime === undefined || healedTime === undefined) return undefined;
  const tookMs = Date.parse(healedTime) - Date.parse(healStartTime);
  if (tookMs <= spec.recoverySeconds * 1_000) return undefined;
  return failed("HealIncomplete", `it took ${Math.round(tookMs / 1_000)} s to undo the fault`);
}

function notRecovered(_spec: ExperimentSpec, status: ExperimentStatus): Judgement | undefined {
  const recovered = conditionOf(status, "Recovered");
  return recovered.status === "False" ? failed("NotRecovered", recovered.message) : undefined;
}

function hypothesisFalsified(_spec: ExperimentSpec, status: ExperimentStatus): Judgement | undefined {
  if (status.stop?.reason === "StopCondition") return failed("StopCondition", status.stop.message);
  const steady = conditionOf(status, "SteadyDuringFault");
  return steady.status === "False" ? failed("HypothesisFalsified", steady.message) : undefined;
}

const ABORTED: Readonly<Record<Exclude<Stop["reason"], "StopCondition">, string>> = {
  Abort: "AbortedByUser",
  SafetyLever: "AbortedBySafetyLever",
  Deadline: "AbortedByDeadline",
  Deleted: "AbortedByDeletion",
  LostSight: "AbortedWithoutSight",
};

function stopped(_spec: ExperimentSpec, { stop }: ExperimentStatus): Judgement | undefined {
  if (stop === undefined || stop.reason === "StopCondition") return undefined;
  return unclear(ABORTED[stop.reason], stop.message);
}

/** Nothing was injected; the condition says why. */
function notBegun(_spec: ExperimentSpec, status: ExperimentStatus): Judgement | undefined {
  for (const type of ["BaselineMet", "Accepted"] as const) {
    const condition = conditionOf(status, type);
    if (condition.status === "False") return unclear(condition.reason, condition.message);
  }
  return undefined;
}

function dryRun(spec: ExperimentSpec, { message }: ExperimentStatus): Judgement | undefined {
  return spec.dryRun ? unclear("DryRun", message) : undefined;
}

function tooFewTargets(_spec: ExperimentSpec, status: ExperimentStatus): Judgement | undefined {
  const injected = conditionOf(status, "Injected");
  return injected.status === "True" ? undefined : unclear(injected.reason, injected.message);
}

function faultNotObserved(_spec: ExperimentSpec, status: ExperimentStatus): Judgement | undefined {
  const observed = conditionOf(status, "FaultObserved");
  return observed.status === "True" ? undefined : unclear("FaultNotObserved", observed.message);
}

/** The history was lost, the system did not come to rest, or an invariant had nothing to look at. */
function notJudged(_spec: ExperimentSpec, status: ExperimentStatus): Judgement | undefined {
  const held = conditionOf(status, "InvariantsHeld");
  return held.status === "Unknown" ? unclear(held.reason, held.message) : undefined;
}

function probeError(_spec: ExperimentSpec, status: ExperimentStatus): Judgement | undefined {
  const recovered = conditionOf(status, "Recovered");
  if (recovered.status !== "True") return unclear(recovered.reason, recovered.message);
  const silent = status.checks.find(({ samples, errors }) => samples > 0 && errors === samples);
  if (silent === undefined) return undefined;
  return unclear("ProbeError", `the check ${silent.name} had no data in ${silent.samples} samples (${silent.phase})`);
}

function tooLittleTraffic({ workload }: ExperimentSpec, { accepted }: ExperimentStatus): Judgement | undefined {
  const poor = Object.entries(accepted).find(([, orders]) => orders < workload.minAccepted);
  if (poor === undefined) return undefined;
  const [phase, orders] = poor;
  return unclear("TooLittleTraffic", `${orders} of ${workload.minAccepted} orders were accepted ${phase} the fault`);
}
