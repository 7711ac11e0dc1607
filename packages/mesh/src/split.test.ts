import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "./seeded.ts";
import { chooseVersion } from "./split.ts";

const split = { weights: { v1: 90, v2: 9.99, v3: 0.01 }, stickyHeader: "x-customer" };
const CALLS = 10_000;

function shareOf(version: string, headersOf: (index: number) => Record<string, string>): number {
  const random = seeded(5);
  const chosen = Array.from({ length: CALLS }, (_, index) =>
    chooseVersion({ routes: [], split }, headersOf(index), random),
  );
  return chosen.filter((it) => it === version).length / CALLS;
}

test("ten thousand calls are split within one percent", () => {
  assert.ok(Math.abs(shareOf("v1", () => ({})) - 0.9) < 0.01);
  assert.ok(Math.abs(shareOf("v2", () => ({})) - 0.0999) < 0.01);
});

test("ten thousand customers are split within one percent, and each stays where it is", () => {
  const customer = (index: number) => ({ "x-customer": `customer-${index}` });
  assert.ok(Math.abs(shareOf("v1", customer) - 0.9) < 0.01);
  const [first, ...others] = Array.from({ length: 20 }, () =>
    chooseVersion({ routes: [], split }, customer(7), Math.random),
  );
  assert.deepEqual(new Set(others), new Set([first]));
});

test("a version without weight gets no call", () => {
  const closed = { weights: { v1: 100, v2: 0 } };
  assert.equal(
    chooseVersion({ routes: [], split: closed }, {}, () => 0.999_999_999),
    "v1",
  );
});

test("a route comes before the split, the first that fits", () => {
  const routes = [
    { header: "x-canary", equals: "yes", version: "v2" },
    { header: "x-customer", prefix: "test-", version: "v3" },
  ];
  const at = (headers: Record<string, string>) => chooseVersion({ routes, split: undefined }, headers, Math.random);
  assert.equal(at({ "x-canary": "yes", "x-customer": "test-1" }), "v2");
  assert.equal(at({ "x-canary": "no", "x-customer": "test-1" }), "v3");
  assert.equal(at({}), undefined);
});
