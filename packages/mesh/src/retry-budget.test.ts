import assert from "node:assert/strict";
import { test } from "node:test";
import { RETRY_BUDGET, RetryBudget } from "./retry-budget.ts";

/** Retries that were allowed when every one of `perSecond` calls wants two, each second for `seconds`. */
function retriesOf(perSecond: number, seconds: number): number {
  const budget = new RetryBudget();
  let retries = 0;
  for (let second = 0; second < seconds; second += 1)
    for (let call = 0; call < perSecond; call += 1) {
      const nowMs = second * 1_000 + (call * 1_000) / perSecond;
      budget.countCall(nowMs);
      for (let attempt = 0; attempt < 2; attempt += 1) if (budget.tryRetry(nowMs, RETRY_BUDGET)) retries += 1;
    }
  return retries;
}

test("when everything fails, load grows by a fifth and ten a second at most", () => {
  const retries = retriesOf(1_000, 30);
  assert.ok(retries <= 0.2 * 30_000 + 10 * 30 + 100, `${retries}`);
  assert.ok(retries >= 0.15 * 30_000, `${retries}: a fifth may be used`);
});

test("who calls seldom may always retry", () => {
  assert.equal(retriesOf(5, 20), 200);
});

test("a burst after silence gets its own second's floor and a share, not ten seconds' worth", () => {
  const budget = new RetryBudget();
  const allowed = Array.from({ length: 100 }, () => budget.tryRetry(50_000, RETRY_BUDGET)).filter(Boolean);
  assert.equal(allowed.length, 10);
});
