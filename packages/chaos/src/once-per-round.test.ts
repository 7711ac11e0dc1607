import assert from "node:assert/strict";
import { test } from "node:test";
import { OncePerRound } from "./once-per-round.ts";

test("what is asked for by several targets is done once in a round, and again in the next", async () => {
  const rounds = new OncePerRound<number>();
  let calls = 0;
  const work = async () => {
    calls += 1;
    return calls * 10;
  };
  assert.deepEqual(await Promise.all([rounds.do("a", 1, work), rounds.do("a", 1, work)]), [10, 10]);
  assert.equal(await rounds.do("a", 1, work), 10);
  await rounds.do("a", 2, work);
  await rounds.do("b", 1, work);
  assert.equal(calls, 3);
  assert.deepEqual([rounds.count("a"), rounds.sum("a"), rounds.get("a", 2), rounds.has("b", 2)], [2, 30, 20, false]);
  rounds.forget("a");
  assert.deepEqual([rounds.count("a"), rounds.sum("b")], [0, 30]);
});

test("what failed is not done, and can be tried again", async () => {
  const rounds = new OncePerRound<string>();
  await assert.rejects(
    rounds.do("a", 1, () => Promise.reject(new Error("away"))),
    /away/,
  );
  assert.equal(rounds.has("a", 1), false);
  assert.equal(await rounds.do("a", 1, async () => "done"), "done");
});
