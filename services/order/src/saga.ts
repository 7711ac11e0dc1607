/** The saga of an order as a table: states, inputs, and what follows from what. Pure: no clock, no database, no calls. */
import { isKind } from "@ordermesh/mesh/errors";

export type SagaState =
  | "RESERVING"
  | "CHARGING"
  | "COMMITTING"
  | "CONFIRMED"
  | "REFUNDING"
  | "RELEASING"
  | "CANCELLED"
  | "NEEDS_ATTENTION";

/** What a step's answer, the customer or the clock says. */
export type SagaInput =
  | "STOCK_RESERVED"
  | "OUT_OF_STOCK"
  | "CHARGED"
  | "DECLINED"
  | "STOCK_COMMITTED"
  | "REFUNDED"
  | "STOCK_RELEASED"
  | "CANCEL_REQUESTED"
  | "TIMED_OUT"
  | "STEP_IMPOSSIBLE";

export type CancelReason = "PAYMENT_DECLINED" | "OUT_OF_STOCK" | "CUSTOMER" | "TIMED_OUT";

/** The call that a state asks for. */
export type Step = "reserve" | "charge" | "commit" | "refund" | "release";

/**
 * Every transition there is. Money decides: until CHARGED is stored an order can be cancelled, from then on it is only
 * driven forward. A cancelled order passes REFUNDING wherever a charge may exist, and RELEASING wherever stock may be held:
 * also when there was none, as an earlier Reserve that was given up may still be on its way and find some.
 */
export const TRANSITIONS: Readonly<Record<SagaState, Readonly<Partial<Record<SagaInput, SagaState>>>>> = {
  RESERVING: {
    STOCK_RESERVED: "CHARGING",
    OUT_OF_STOCK: "RELEASING",
    CANCEL_REQUESTED: "RELEASING",
    TIMED_OUT: "RELEASING",
    STEP_IMPOSSIBLE: "RELEASING",
  },
  CHARGING: {
    CHARGED: "COMMITTING",
    DECLINED: "RELEASING",
    CANCEL_REQUESTED: "REFUNDING",
    TIMED_OUT: "REFUNDING",
    STEP_IMPOSSIBLE: "REFUNDING",
  },
  COMMITTING: { STOCK_COMMITTED: "CONFIRMED", STEP_IMPOSSIBLE: "NEEDS_ATTENTION" },
  REFUNDING: { REFUNDED: "RELEASING", STEP_IMPOSSIBLE: "NEEDS_ATTENTION" },
  RELEASING: { STOCK_RELEASED: "CANCELLED", STEP_IMPOSSIBLE: "NEEDS_ATTENTION" },
  CONFIRMED: {},
  CANCELLED: {},
  NEEDS_ATTENTION: {},
};

const STEPS: Readonly<Partial<Record<SagaState, Step>>> = {
  RESERVING: "reserve",
  CHARGING: "charge",
  COMMITTING: "commit",
  REFUNDING: "refund",
  RELEASING: "release",
};

const DONE: Readonly<Record<Step, SagaInput>> = {
  reserve: "STOCK_RESERVED",
  charge: "CHARGED",
  commit: "STOCK_COMMITTED",
  refund: "REFUNDED",
  release: "STOCK_RELEASED",
};

const REASONS: Readonly<Partial<Record<SagaInput, CancelReason>>> = {
  OUT_OF_STOCK: "OUT_OF_STOCK",
  DECLINED: "PAYMENT_DECLINED",
  CANCEL_REQUESTED: "CUSTOMER",
  TIMED_OUT: "TIMED_OUT",
};

/** The state that follows; undefined when the input means nothing in this state, as a late or repeated one does. */
export function next(state: SagaState, input: SagaInput): SagaState | undefined {
  return TRANSITIONS[state][input];
}

/** What decides an order's way: what follows from what, and what a failed step says. */
export type SagaRules = { readonly next: typeof next; readonly inputOfFailure: typeof inputOfFailure };

/** What to do in a state; undefined when nothing is left to do. */
export function stepOf(state: SagaState): Step | undefined {
  return STEPS[state];
}

export function isDecided(state: SagaState): boolean {
  return state === "CONFIRMED" || state === "CANCELLED";
}

/** What interrupts the current state before its step is tried (again); undefined when nothing does. */
export function interruption(
  state: SagaState,
  order: { cancelRequested: boolean; ageMs: number },
  timeoutMs: number,
): SagaInput | undefined {
  const input = order.cancelRequested ? "CANCEL_REQUESTED" : "TIMED_OUT";
  const isDue = order.cancelRequested || order.ageMs >= timeoutMs;
  return isDue && next(state, input) !== undefined ? input : undefined;
}

export function done(step: Step): SagaInput {
  return DONE[step];
}

/** Why an order that is cancelled by `input` is cancelled; a reason given before stays. */
export function reasonOf(input: SagaInput): CancelReason | undefined {
  return REASONS[input];
}

/** What a step's failure says; undefined means that it says nothing and the step is to be tried again. */
export function inputOfFailure(step: Step, error: unknown): SagaInput | undefined {
  if (!isKind(error, "precondition", "invalid", "not-found", "exists", "forbidden", "unimplemented")) return undefined;
  if (step === "reserve" && error.reason === "OUT_OF_STOCK") return "OUT_OF_STOCK";
  if (step === "charge" && error.reason === "CARD_DECLINED") return "DECLINED";
  return "STEP_IMPOSSIBLE";
}
