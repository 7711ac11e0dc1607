import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "@ordermesh/mesh/seeded";
import type { Candidate } from "./backend.ts";
import { pickTargets } from "./pick-targets.ts";

const pods = (count: number, change: (index: number) => Partial<Candidate> = () => ({})): Candidate[] =>
  Array.from({ length: count }, (_, index) => {
    const name = `pod-${index}`;
    return { kind: "Pod", name, uid: name, node: "", isReady: true, isProtected: false, ...change(index) };
  });
const bounds = { maxTargets: 50, maxPercent: 100, minHealthyRemaining: 0 };
const count = (candidates: readonly Candidate[], change: Partial<typeof bounds>) => {
  const picked = pickTargets(candidates, { ...bounds, ...change }, seeded(1));
  return picked.kind === "picked" ? picked.targets.length : picked.reason;
};

test("the smallest of the bounds wins", () => {
  assert.equal(count(pods(5), {}), 5);
  assert.equal(count(pods(5), { maxTargets: 2 }), 2);
  assert.equal(count(pods(5), { maxPercent: 50 }), 2);
  assert.equal(count(pods(5), { minHealthyRemaining: 4 }), 1);
});

test("bounds that leave none say so", () => {
  assert.match(String(count(pods(1), { maxPercent: 50 })), /leave none/);
  assert.match(String(count(pods(2), { minHealthyRemaining: 2 })), /leave none/);
  assert.match(String(count([], {})), /nothing matches/);
});

test("only ready ones count, and protected ones are not there", () => {
  assert.equal(
    count(
      pods(4, (index) => ({ isReady: index < 2 })),
      { minHealthyRemaining: 1 },
    ),
    1,
  );
  assert.equal(
    count(
      pods(4, (index) => ({ isProtected: index < 3 })),
      {},
    ),
    1,
  );
  assert.match(
    String(
      count(
        pods(2, () => ({ isProtected: true })),
        {},
      ),
    ),
    /protected/,
  );
});

test("the choice does not depend on the order of the list", () => {
  const names = (candidates: readonly Candidate[]) => {
    const picked = pickTargets(candidates, { ...bounds, maxTargets: 3 }, seeded(7));
    return picked.kind === "picked" ? picked.targets.map(({ name }) => name) : [];
  };
  assert.deepEqual(names(pods(9)), names(pods(9).toReversed()));
});
