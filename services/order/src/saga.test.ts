/** The saga's table is explored whole: whatever comes in whatever order, money and stock end where they belong. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@ordermesh/mesh/errors";
import {
  done,
  inputOfFailure,
  interruption,
  isDecided,
  next,
  reasonOf,
  type SagaInput,
  type SagaState,
  stepOf,
  TRANSITIONS,
} from "./saga.ts";

const STATES = Object.keys(TRANSITIONS) as SagaState[];

test("every open state has a step, and its step's success leads on", () => {
  for (const state of STATES) {
    const step = stepOf(state);
    if (isDecided(state) || state === "NEEDS_ATTENTION") assert.equal(step, undefined, state);
    else assert.ok(step !== undefined && next(state, done(step)) !== undefined, state);
  }
});

test("decided states never change", () => {
  for (const state of ["CONFIRMED", "CANCELLED", "NEEDS_ATTENTION"] as const) assert.deepEqual(TRANSITIONS[state], {});
});

test("the good way is reserve, charge, commit", () => {
  const way: SagaInput[] = ["STOCK_RESERVED", "CHARGED", "STOCK_COMMITTED"];
  assert.equal(
    way.reduce<SagaState>((state, input) => next(state, input) ?? state, "RESERVING"),
    "CONFIRMED",
  );
});

/** What an order may hold: after a step was tried its effect may exist, whatever the step answered. */
type Holdings = { readonly state: SagaState; readonly money: boolean; readonly stock: "none" | "held" | "sold" };

function explore(): Holdings[] {
  const seen = new Map<string, Holdings>();
  const queue: Holdings[] = [{ state: "RESERVING", money: false, stock: "none" }];
  for (let current = queue.pop(); current !== undefined; current = queue.pop()) {
    const key = JSON.stringify(current);
    if (seen.has(key)) continue;
    seen.set(key, current);
    for (const [input, to] of Object.entries(TRANSITIONS[current.state]))
      queue.push(...after(current, input as SagaInput, to));
  }
  return [...seen.values()];
}

/** What may be held after `input`; an interruption may come after the step's effect and before its answer. */
function after(before: Holdings, input: SagaInput, to: SagaState): Holdings[] {
  const now = { ...before, state: to };
  const isUnknown = input === "CANCEL_REQUESTED" || input === "TIMED_OUT" || input === "STEP_IMPOSSIBLE";
  const effects: Partial<Record<SagaInput, Partial<Holdings>>> = {
    STOCK_RESERVED: { stock: "held" },
    OUT_OF_STOCK: { stock: "held" }, // By an earlier attempt that comes late.
    CHARGED: { money: true },
    STOCK_COMMITTED: { stock: "sold" },
    REFUNDED: { money: false },
    STOCK_RELEASED: { stock: "none" },
  };
  if (!isUnknown) return [{ ...now, ...effects[input] }];
  if (before.state === "RESERVING") return [now, { ...now, stock: "held" }];
  return before.state === "CHARGING" ? [now, { ...now, money: true }] : [now];
}

test("no way leads to a cancelled order that keeps money or stock, or to a confirmed one without", () => {
  const worlds = explore();
  assert.ok(worlds.length > 10);
  for (const { state, money, stock } of worlds) {
    if (state === "CANCELLED") assert.deepEqual({ money, stock }, { money: false, stock: "none" });
    if (state === "CONFIRMED") assert.deepEqual({ money, stock }, { money: true, stock: "sold" });
  }
  assert.ok(worlds.some(({ state }) => state === "CANCELLED") && worlds.some(({ state }) => state === "CONFIRMED"));
});

test("cancelling and time-outs interrupt only until the charge is stored", () => {
  const cases = STATES.map((state) => [
    state,
    interruption(state, { cancelRequested: true, ageMs: 0 }, 60_000),
    interruption(state, { cancelRequested: false, ageMs: 60_000 }, 60_000),
  ]);
  const interrupted = cases.filter(([, cancel, timeout]) => cancel !== undefined || timeout !== undefined);
  assert.deepEqual(interrupted, [
    ["RESERVING", "CANCEL_REQUESTED", "TIMED_OUT"],
    ["CHARGING", "CANCEL_REQUESTED", "TIMED_OUT"],
  ]);
  assert.equal(interruption("CHARGING", { cancelRequested: false, ageMs: 59_999 }, 60_000), undefined);
});

const error = (kind: ConstructorParameters<typeof MeshError>[0], reason: string) => new MeshError(kind, reason, "");
for (const [step, failure, input] of [
  ["reserve", error("precondition", "OUT_OF_STOCK"), "OUT_OF_STOCK"],
  ["charge", error("precondition", "CARD_DECLINED"), "DECLINED"],
  ["charge", error("precondition", "PAYMENT_VOIDED"), "STEP_IMPOSSIBLE"],
  ["commit", error("precondition", "OUT_OF_STOCK"), "STEP_IMPOSSIBLE"],
  ["charge", error("deadline", "DEADLINE_EXCEEDED"), undefined],
  ["charge", error("unavailable", "PROVIDER_UNAVAILABLE"), undefined],
  ["reserve", error("conflict", "DATABASE_CONFLICT"), undefined],
  ["charge", error("internal", "TRANSPORT_INTERNAL"), undefined],
  ["refund", new TypeError("a bug"), undefined],
] as const)
  test(`${step} failing with ${failure.message || (failure instanceof MeshError ? failure.reason : "")} says ${input ?? "nothing: it is tried again"}`, () => {
    assert.equal(inputOfFailure(step, failure), input);
  });

test("every way to be cancelled by somebody has its reason", () => {
  assert.deepEqual(
    ["OUT_OF_STOCK", "DECLINED", "CANCEL_REQUESTED", "TIMED_OUT"].map((input) => reasonOf(input as SagaInput)),
    ["OUT_OF_STOCK", "PAYMENT_DECLINED", "CUSTOMER", "TIMED_OUT"],
  );
});
