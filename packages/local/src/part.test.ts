import assert from "node:assert/strict";
import { test } from "node:test";
import { firstPortOf } from "./part.ts";

test("processes that start together look for ports far from each other", () => {
  for (let pid = 1; pid < 1_000; pid += 1)
    for (let next = pid + 1; next <= pid + 20; next += 1) {
      const apart = Math.abs(firstPortOf(pid) - firstPortOf(next));
      assert.ok(apart >= 700, `${pid} and ${next} begin ${apart} ports from each other`);
    }
});

test("every process begins below what the system gives to outgoing connections", () => {
  for (let pid = 1; pid < 5_000; pid += 1) {
    assert.ok(firstPortOf(pid) >= 10_240 && firstPortOf(pid) <= 31_999 - 63);
    assert.ok(Number.isInteger(firstPortOf(pid)));
  }
});
