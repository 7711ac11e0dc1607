import assert from "node:assert/strict";
import { test } from "node:test";
import { type Answer, isRight, summaryOf, toSuites } from "./answers.ts";

const bug = { name: "double", named: ["NoDoubleCharge"] };
const answer = (change: Partial<Answer>): Answer => ({
  bug,
  experiment: "kill-payment",
  seed: 1,
  verdict: "Failed",
  reason: "InvariantViolated",
  message: "",
  named: ["NoDoubleCharge", "MoneyConserved"],
  seconds: 40,
  ...change,
});

const found = answer({});
const blamed = answer({ bug: undefined, named: ["SagaTerminal"] });
const unclear = answer({ bug: undefined, verdict: "Inconclusive", reason: "FaultNotObserved", named: [] });
const clean = answer({ bug: undefined, verdict: "Passed", named: [] });
const missed = answer({ verdict: "Passed", named: [] });
const misnamed = answer({ named: ["SagaTerminal"] });

test("a bug is found by a Failed that names what it breaks, and by nothing else", () => {
  const all = [found, missed, misnamed, answer({ verdict: "Inconclusive" })];
  assert.deepEqual(all.map(isRight), ["right", "wrong", "wrong", "wrong"]);
});

test("a clean system passes; a Failed blames it, an Inconclusive does not know", () => {
  assert.deepEqual([clean, blamed, unclear].map(isRight), ["right", "wrong", "unclear"]);
});

test("the summary counts both, and leaves out what was not run", () => {
  const all = [found, missed, clean, blamed, unclear];
  assert.equal(summaryOf(all), "1 of 2 planted bugs found. 1 false Failed in 3 clean runs, 1 Inconclusive.");
  assert.equal(summaryOf([found]), "1 of 1 planted bugs found.");
});

test("in JUnit a wrong answer is a failure and an unclear one an error", () => {
  const kinds = toSuites([found, misnamed, clean, blamed, unclear]).map(({ name, cases }) => [
    name,
    ...cases.map(({ problem }) => problem?.kind ?? "fine"),
  ]);
  assert.deepEqual(kinds, [
    ["planted bugs", "fine", "failure"],
    ["clean runs", "fine", "failure", "error"],
  ]);
});
