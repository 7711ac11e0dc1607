import assert from "node:assert/strict";
import { test } from "node:test";
import type { Second } from "./backend.ts";
import { measureMilli } from "./measure.ts";

const quiet: Second = { atMs: 0, begun: 0, accepted: 0, failed: 0, p99Ms: null, latencies: [] };
const busy = (accepted: number, failed: number, latencies: Second["latencies"] = []): Second => ({
  ...quiet,
  begun: accepted,
  accepted,
  failed,
  latencies,
});

test("a measure is that of all orders of the interval, not the mean of its seconds", () => {
  const seconds = [busy(1, 1, [[900, 1]]), busy(98, 0, [[10, 98]]), busy(1, 0, [[20, 1]])];
  assert.equal(measureMilli("SuccessMilli", seconds), 990);
  assert.equal(measureMilli("P99Milliseconds", seconds), 20);
  assert.equal(measureMilli("AcceptedPerSecondMilli", seconds), 33_333);
});

test("without data there is no value", () => {
  for (const measure of ["SuccessMilli", "P99Milliseconds", "AcceptedPerSecondMilli"] as const)
    assert.equal(measureMilli(measure, []), undefined, measure);
  assert.equal(measureMilli("SuccessMilli", [quiet]), undefined);
  assert.equal(measureMilli("P99Milliseconds", [quiet, busy(0, 3)]), undefined);
});

test("nearly all is not all, and customers who are not answered are no lack of data", () => {
  assert.equal(measureMilli("SuccessMilli", [busy(9_999, 1)]), 999);
  assert.equal(measureMilli("AcceptedPerSecondMilli", [quiet]), 0);
  const hung = [{ ...quiet, begun: 20 }, quiet];
  assert.equal(measureMilli("SuccessMilli", hung), 0);
  assert.equal(measureMilli("P99Milliseconds", hung), 2_000);
});
