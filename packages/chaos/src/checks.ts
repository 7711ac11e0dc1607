/** Checks of the steady state and stop conditions: when a sample is due, and what a sample says. Pure. */
import type { Check, ExperimentSpec, Measure } from "./experiment.ts";
import type { CheckStatus } from "./status.ts";

export type LoadPhase = CheckStatus["phase"];

/** So many samples without data in a row, and nobody sees what goes on any more. */
export const MAX_ERRORS = 4;
const STOP_EVERY_SECONDS = 2;

/** One thing that is sampled in a phase. */
export type Probe = {
  readonly name: string;
  readonly measure: Measure;
  readonly intervalSeconds: number;
  /** Failures in a row that are no more than a blemish. */
  readonly tolerated: number;
  /** A stop condition says what must not be: it fails where a check would pass. */
  readonly isForbidden: boolean;
};

export function probesOf({ steadyState }: Pick<ExperimentSpec, "steadyState">, phase: LoadPhase): Probe[] {
  return steadyState
    .filter(({ phases }) => phases.includes(phase))
    .map((check) => {
      const during = phase === "During" ? check.during : undefined;
      return {
        name: check.name,
        measure: measureOf(check, during?.thresholdMilli),
        intervalSeconds: check.intervalSeconds,
        tolerated: during?.toleratedConsecutiveFailures ?? 0,
        isForbidden: false,
      };
    });
}

export function stopProbesOf({ stopConditions }: Pick<ExperimentSpec, "stopConditions">): Probe[] {
  return stopConditions.map((condition) => ({
    name: condition.name,
    measure: condition,
    intervalSeconds: STOP_EVERY_SECONDS,
    tolerated: condition.consecutive - 1,
    isForbidden: true,
  }));
}

function measureOf({ workload, prometheus, op, thresholdMilli }: Check, instead: number | undefined): Measure {
  return { workload, prometheus, op, thresholdMilli: instead ?? thresholdMilli };
}

export function newCheck(name: string, phase: LoadPhase): CheckStatus {
  return {
    name,
    phase,
    lastMilli: null,
    worstMilli: null,
    samples: 0,
    failures: 0,
    consecutiveFailures: 0,
    mostConsecutiveFailures: 0,
    errors: 0,
    consecutiveErrors: 0,
    lastAt: null,
    lastFailedAt: null,
  };
}

export function findCheck(checks: readonly CheckStatus[], name: string, phase: LoadPhase): CheckStatus {
  return checks.find((check) => check.name === name && check.phase === phase) ?? newCheck(name, phase);
}

export function isDue(
  { lastAt }: CheckStatus,
  { intervalSeconds }: Probe,
  phaseStartMs: number,
  nowMs: number,
): boolean {
  const sinceMs = lastAt === null ? phaseStartMs : Date.parse(lastAt);
  return nowMs - sinceMs >= intervalSeconds * 1_000;
}

/** `valueMilli` undefined: no data, which is an error and never a pass. */
export function addSample(
  check: CheckStatus,
  { measure, isForbidden }: Pick<Probe, "measure" | "isForbidden">,
  valueMilli: number | undefined,
  nowMs: number,
): CheckStatus {
  const at = new Date(nowMs).toISOString();
  const sampled = { ...check, samples: check.samples + 1, lastAt: at };
  if (valueMilli === undefined || Number.isNaN(valueMilli))
    return { ...sampled, errors: check.errors + 1, consecutiveErrors: check.consecutiveErrors + 1, lastMilli: null };
  const value = Math.round(Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, valueMilli)));
  const isMoreBetter = (measure.op === "GreaterOrEqual" || measure.op === "Greater") !== isForbidden;
  const worstMilli = check.worstMilli === null ? value : Math[isMoreBetter ? "min" : "max"](check.worstMilli, value);
  const known = { ...sampled, lastMilli: value, worstMilli, consecutiveErrors: 0 };
  if (holds(measure, valueMilli) !== isForbidden) return { ...known, consecutiveFailures: 0 };
  const consecutiveFailures = check.consecutiveFailures + 1;
  return {
    ...known,
    failures: check.failures + 1,
    consecutiveFailures,
    mostConsecutiveFailures: Math.max(check.mostConsecutiveFailures, consecutiveFailures),
    lastFailedAt: at,
  };
}

export function holds({ op, thresholdMilli }: Measure, valueMilli: number): boolean {
  switch (op) {
    case "GreaterOrEqual":
      return valueMilli >= thresholdMilli;
    case "LessOrEqual":
      return valueMilli <= thresholdMilli;
    case "Less":
      return valueMilli < thresholdMilli;
    case "Greater":
      return valueMilli > thresholdMilli;
  }
}
