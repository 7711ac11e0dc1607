/** What is known of a running experiment, as it is stored: every decision is derived from this and from what is observed. Pure. */

/** A summary for people; `Healing` that cannot finish stays `HealFailed` and is tried for ever. */
export type Phase =
  | "Pending"
  | "Baseline"
  | "Injecting"
  | "Running"
  | "Healing"
  | "HealFailed"
  | "Recovering"
  | "Judging"
  | "Completed"
  | "Aborted";

export type VerdictWord = "Passed" | "Failed" | "Inconclusive";

export const CONDITION_TYPES = [
  "Accepted",
  "BaselineMet",
  "Injected",
  "FaultObserved",
  "SteadyDuringFault",
  "Healed",
  "Recovered",
  "InvariantsHeld",
  "Complete",
] as const;

export type Condition = {
  readonly type: (typeof CONDITION_TYPES)[number];
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
  /** RFC 3339. */
  readonly lastTransitionTime: string;
  readonly observedGeneration: number;
};

/**
 * One thing done to one target. `Planned` is stored before the act (write-ahead): a crash in between is repaired by healing
 * what may never have been injected.
 */
export type TargetStatus = {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly node: string;
  /** Round of a repeated fault, from 1. */
  readonly round: number;
  readonly state: "Planned" | "Injected" | "Healed";
  readonly injectedAt?: string;
  readonly healedAt?: string;
  /** What `heal` needs on top of the target; no secrets. */
  readonly undo: string;
};

export type FaultEvidence = { readonly expected: number; readonly observed: number; readonly detail: string };

export type CheckStatus = {
  readonly name: string;
  readonly phase: "Before" | "During" | "After";
  readonly lastMilli: number | null;
  readonly worstMilli: number | null;
  readonly samples: number;
  readonly failures: number;
  readonly consecutiveFailures: number;
  /** The longest row of them: what says whether a check was ever beyond what is tolerated. */
  readonly mostConsecutiveFailures: number;
  readonly errors: number;
  readonly consecutiveErrors: number;
  /** RFC 3339, of the last sample and of the last that failed. */
  readonly lastAt: string | null;
  readonly lastFailedAt: string | null;
};

export type InvariantStatus = {
  readonly name: string;
  readonly held: "True" | "False" | "Unknown";
  readonly examined: number;
  readonly violations: number;
  /** At most five. */
  readonly examples: readonly string[];
};

/** Why the experiment was stopped before its time. */
export type Stop = {
  readonly reason: "Abort" | "SafetyLever" | "StopCondition" | "Deadline" | "Deleted" | "LostSight";
  readonly message: string;
};

export type ExperimentStatus = {
  readonly observedGeneration: number;
  readonly phase: Phase;
  readonly verdict: VerdictWord | "";
  readonly reason: string;
  readonly message: string;
  /** For the printer column: `payment 1/2`. */
  readonly target: string;
  readonly startTime?: string;
  readonly injectStartTime?: string;
  readonly healStartTime?: string;
  readonly healedTime?: string;
  readonly judgeStartTime?: string;
  readonly completionTime?: string;
  readonly stop?: Stop;
  readonly targets: readonly TargetStatus[];
  readonly faultEvidence?: FaultEvidence;
  /** One for each check and phase. */
  readonly checks: readonly CheckStatus[];
  /** Their phase is `During`; a failure is a sample in which the condition to stop was met. */
  readonly stopConditions: readonly CheckStatus[];
  readonly invariants: readonly InvariantStatus[];
  /** Orders that were accepted in each phase of the load. */
  readonly accepted: { readonly before: number; readonly during: number; readonly after: number };
  /** What was still on its way when the judge looked, and since when it is exactly this. */
  readonly drain?: { readonly open: readonly string[]; readonly sinceTime: string };
  /** From the beginning of the heal until the steady state held for good. */
  readonly timeToRecoverSeconds?: number;
  readonly reportRef?: { readonly kind: "ConfigMap" | "File"; readonly name: string };
  readonly conditions: readonly Condition[];
};
