/** Conditions of an experiment: all are there from the first visit, as Unknown. Pure. */
import { CONDITION_TYPES, type Condition, type ExperimentStatus } from "./status.ts";

/** The schema of the status takes no more. */
export const MAX_SENTENCE = 1_024;

type Change = Pick<Condition, "type" | "status" | "reason"> & { readonly message?: string };

export function unknownConditions(generation: number, atMs: number): Condition[] {
  return CONDITION_TYPES.map((type) => ({
    type,
    status: "Unknown",
    reason: "NotYet",
    message: "",
    lastTransitionTime: new Date(atMs).toISOString(),
    observedGeneration: generation,
  }));
}

export function conditionOf({ conditions }: Pick<ExperimentStatus, "conditions">, type: Condition["type"]): Condition {
  const found = conditions.find((condition) => condition.type === type);
  if (found === undefined) throw new RangeError(`the status has no condition ${type}`);
  return found;
}

/** The time of transition changes only with the condition's status. */
export function withCondition(status: ExperimentStatus, change: Change, atMs: number): ExperimentStatus {
  const { type, reason, message = "" } = change;
  const conditions = status.conditions.map((condition): Condition => {
    if (condition.type !== type) return condition;
    const hasTurned = condition.status !== change.status;
    return {
      type,
      status: change.status,
      reason,
      message: message.slice(0, MAX_SENTENCE),
      lastTransitionTime: hasTurned ? new Date(atMs).toISOString() : condition.lastTransitionTime,
      observedGeneration: status.observedGeneration,
    };
  });
  return { ...status, conditions };
}
