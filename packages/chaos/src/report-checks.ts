/** What came of each check, told for a reader: what was asked, what was measured, and whether that was enough. Pure. */
import { findCheck, type LoadPhase, type Probe, probesOf, stopProbesOf } from "./checks.ts";
import { conditionOf } from "./condition.ts";
import type { ExperimentSpec, Measure } from "./experiment.ts";
import { PHASES_OF_LOAD } from "./experiment.ts";
import type { CheckStatus, ExperimentStatus } from "./status.ts";

export type CheckResult = {
  readonly name: string;
  readonly phase: LoadPhase;
  readonly isStopCondition: boolean;
  /** Such as `success ≥ 99 %`. */
  readonly rule: string;
  /** With their units; undefined when there was no data. */
  readonly worst: string | undefined;
  readonly last: string | undefined;
  readonly samples: number;
  readonly failures: number;
  readonly errors: number;
  /** `Unknown`: not sampled, or never with data, or the experiment ended while it was still going on. */
  readonly outcome: "Held" | "Failed" | "Unknown";
};

export function checkResults(spec: ExperimentSpec, status: ExperimentStatus): CheckResult[] {
  const checks = PHASES_OF_LOAD.flatMap((phase) =>
    probesOf(spec, phase).map((probe) => resultOf(probe, findCheck(status.checks, probe.name, phase), status)),
  );
  const stops = stopProbesOf(spec).map((probe) =>
    resultOf(probe, findCheck(status.stopConditions, probe.name, "During"), status),
  );
  return [...checks, ...stops];
}

function resultOf(probe: Probe, check: CheckStatus, status: ExperimentStatus): CheckResult {
  const { name, measure, isForbidden } = probe;
  const { phase, samples, failures, errors } = check;
  const told = (milli: number | null) => (milli === null ? undefined : inUnits(measure, milli));
  return {
    name,
    phase,
    isStopCondition: isForbidden,
    rule: ruleOf(probe),
    worst: told(check.worstMilli),
    last: told(check.lastMilli),
    samples,
    failures,
    errors,
    outcome: outcomeOf(probe, check, status),
  };
}

/** A baseline is bad when it ends so; a fault shows for as long as it lasts; a recovery has failed only when it was given up. */
function outcomeOf({ tolerated }: Probe, check: CheckStatus, status: ExperimentStatus): CheckResult["outcome"] {
  if (check.samples === check.errors) return "Unknown";
  if (check.phase === "During") return check.mostConsecutiveFailures > tolerated ? "Failed" : "Held";
  if (check.consecutiveFailures === 0) return check.consecutiveErrors > 0 ? "Unknown" : "Held";
  const isDecided = check.phase === "Before" || conditionOf(status, "Recovered").status === "False";
  return isDecided ? "Failed" : "Unknown";
}

const SIGNS: Readonly<Record<Measure["op"], string>> = {
  GreaterOrEqual: "≥",
  LessOrEqual: "≤",
  Less: "<",
  Greater: ">",
};
const NAMES = { SuccessMilli: "success", P99Milliseconds: "p99", AcceptedPerSecondMilli: "accepted" } as const;

function ruleOf({ measure, isForbidden, tolerated }: Probe): string {
  const what = measure.workload === undefined ? (measure.prometheus?.query ?? "") : NAMES[measure.workload];
  const rule = `${what} ${SIGNS[measure.op]} ${inUnits(measure, measure.thresholdMilli)}`;
  if (isForbidden) return `never ${tolerated + 1} times in a row ${rule}`;
  return tolerated === 0 ? rule : `${rule}, but for ${tolerated} in a row`;
}

/** `99.2 %`, `51 ms`, `19.8/s`, or a plain number. */
function inUnits({ workload }: Measure, milli: number): string {
  switch (workload) {
    case "SuccessMilli":
      return `${milli / 10} %`;
    case "P99Milliseconds":
      return `${milli} ms`;
    case "AcceptedPerSecondMilli":
      return `${milli / 1_000}/s`;
    default:
      return String(milli / 1_000);
  }
}
