import assert from "node:assert/strict";
import { test } from "node:test";
import { anEndpoint } from "../test/fixtures.ts";
import { type Candidate, roundRobin } from "./balancer.ts";

const up = (name: string): Candidate => ({ endpoint: anEndpoint(name), isFailing: false });
const failing = (name: string): Candidate => ({ endpoint: anEndpoint(name), isFailing: true });

function picks(count: number, candidates: readonly Candidate[], tried: readonly string[] = []): string[] {
  const balancer = roundRobin(0);
  const addresses = new Set(tried.map((name) => anEndpoint(name).address));
  return Array.from({ length: count }, () => balancer.pick(candidates, addresses).instance);
}

test("endpoints are taken in turn", () => {
  assert.deepEqual(picks(6, [up("a"), up("b"), up("c")]).sort(), ["a", "a", "b", "b", "c", "c"]);
});

test("clients that begin at different offsets begin at different endpoints", () => {
  const candidates = [up("a"), up("b"), up("c")];
  const first = [0, 1, 2].map((offset) => roundRobin(offset).pick(candidates, new Set()).instance);
  assert.deepEqual(first.sort(), ["a", "b", "c"]);
});

test("failing and tried endpoints are taken only when there is no better one", () => {
  const rows: [string, Candidate[], string[], string[]][] = [
    ["another is healthy", [up("a"), failing("b")], [], ["a", "a"]],
    ["another was not tried", [up("a"), up("b")], ["a"], ["b", "b"]],
    ["a failing one that was not tried comes before a repetition", [up("a"), failing("b")], ["a"], ["b", "b"]],
    ["all fail", [failing("a"), failing("b")], [], ["a", "b"]],
    ["all were tried", [up("a"), up("b")], ["a", "b"], ["a", "b"]],
    ["there is but one", [failing("a")], ["a"], ["a", "a"]],
  ];
  for (const [title, candidates, tried, expected] of rows)
    assert.deepEqual(picks(2, candidates, tried).sort(), expected, title);
});

test("no candidate at all is a bug", () => {
  assert.throws(() => roundRobin(0).pick([], new Set()), RangeError);
});
