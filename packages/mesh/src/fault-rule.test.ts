import assert from "node:assert/strict";
import { test } from "node:test";
import { faultFor, parseFaultRule } from "./fault-rule.ts";

const NOW_MS = 1_000_000;
const GOOD = { schemaVersion: 1, service: "payment", share: 0.05, abort: "unavailable", expiresAtMs: NOW_MS + 60_000 };
const CALL = { service: "payment", method: "Charge", caller: "order" };
const rule = (change = {}) => parseFaultRule(JSON.stringify({ ...GOOD, ...change }), NOW_MS);
const always = () => 0;

for (const change of [
  { service: undefined },
  { share: 0 },
  { share: 1.1 },
  { abort: undefined },
  { abort: "OK" },
  { delayMs: -1 },
  { delayMs: 60_001 },
  { expiresAtMs: undefined },
  { expiresAtMs: NOW_MS + 3_600_001 },
  { forever: true },
])
  test(`${JSON.stringify(change)} is refused`, () => {
    assert.throws(() => rule(change), { kind: "invalid", reason: "FAULT_RULE_INVALID" });
  });

for (const [title, change, call, meets] of [
  ["its service", {}, {}, true],
  ["another service", {}, { service: "order" }, false],
  ["its method", { method: "Charge" }, {}, true],
  ["another method", { method: "Refund" }, {}, false],
  ["its caller", { caller: "order" }, {}, true],
  ["another caller", { caller: "storefront" }, {}, false],
] as const)
  test(`a rule ${meets ? "meets" : "does not meet"} ${title}`, () => {
    assert.equal(faultFor([rule(change)], { ...CALL, ...call }, NOW_MS, always) !== undefined, meets);
  });

test("a rule ends by itself", () => {
  assert.equal(faultFor([rule()], CALL, NOW_MS + 60_000, always), undefined);
});

test("each attempt has the rule's chance", () => {
  let calls = 0;
  const random = () => (calls++ % 100) / 100;
  const met = Array.from({ length: 1_000 }, () => faultFor([rule()], CALL, NOW_MS, random)).filter(Boolean);
  assert.equal(met.length, 50);
});
