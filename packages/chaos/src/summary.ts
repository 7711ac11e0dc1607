/** What is said of experiments that were run one after another. Pure. */
import type { ExperimentStatus } from "./status.ts";

/** `, seen 2 of 3` while a fault is looked at; empty before. */
export function seenIn({ faultEvidence }: Pick<ExperimentStatus, "faultEvidence">): string {
  return faultEvidence === undefined ? "" : `, seen ${faultEvidence.observed} of ${faultEvidence.expected}`;
}

/** Orders accepted before, during and after the fault, the evidence of it as `2/3`, and the seconds until the recovery. */
export function figuresOf({ accepted, faultEvidence, timeToRecoverSeconds }: ExperimentStatus) {
  return {
    accepted: `${accepted.before}/${accepted.during}/${accepted.after}`,
    evidence: faultEvidence === undefined ? "" : `${faultEvidence.observed}/${faultEvidence.expected}`,
    ttr: timeToRecoverSeconds ?? "",
  };
}

/** 0 all Passed, 1 one Failed at least, 2 one Inconclusive at least, or not all that were wanted were run. */
export function exitCodeOf(
  results: readonly { readonly status?: Pick<ExperimentStatus, "verdict"> }[],
  wanted: number,
): number {
  const verdicts = results.map(({ status }) => status?.verdict);
  if (verdicts.includes("Failed")) return 1;
  return verdicts.length >= wanted && verdicts.every((verdict) => verdict === "Passed") ? 0 : 2;
}
