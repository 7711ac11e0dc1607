import assert from "node:assert/strict";
import { test } from "node:test";
import { EJECTION, EndpointHealth, type Outcome } from "./endpoint-health.ts";

const middle = () => 0.5; // No jitter.

function newHealth() {
  const health = new EndpointHealth(0, middle);
  const call = (outcome: Outcome, nowMs = 0, tookMs = 10) => {
    health.begin(nowMs);
    const wantsOut = health.end(outcome, tookMs, nowMs, EJECTION);
    if (wantsOut) health.eject(nowMs, EJECTION);
    return wantsOut;
  };
  return { health, call };
}

test("a slower answer counts at once, a faster one little by little", () => {
  const { health, call } = newHealth();
  call("success", 0, 10);
  call("success", 0, 200);
  assert.equal(health.load(0), 200);
  call("success", 1_000, 10);
  assert.ok(health.load(1_000) > 150 && health.load(1_000) < 200);
  for (let second = 2; second < 60; second += 1) call("success", second * 1_000, 10);
  assert.ok(health.load(60_000) < 15);
});

test("failing fast does not look attractive", () => {
  const { health, call } = newHealth();
  call("failure", 0, 1);
  assert.equal(health.load(0), 1_000);
});

test("five failures in a row eject, four and a success do not", () => {
  const { call } = newHealth();
  const outs = (["failure", "failure", "failure", "failure", "success", "failure"] as const).map((it) => call(it));
  assert.deepEqual(outs.includes(true), false);
  const { call: again } = newHealth();
  assert.deepEqual(
    Array.from({ length: 5 }, () => again("failure")),
    [false, false, false, false, true],
  );
});

test("a success rate under 80 % of twenty calls within ten seconds ejects; older calls are forgotten", () => {
  const { call } = newHealth();
  const pattern = (index: number): Outcome => (index % 4 === 0 ? "failure" : "success");
  const outs = Array.from({ length: 21 }, (_, index) => call(pattern(index), index * 10));
  assert.equal(outs.indexOf(true), 19, "at the twentieth call, when 5 had failed");
  const { call: slow } = newHealth();
  assert.equal(
    Array.from({ length: 40 }, (_, index) => slow(pattern(index), index * 1_000)).includes(true),
    false,
    "ten calls in ten seconds are too few to judge by",
  );
});

test("refusals of an overloaded server lower the rate and do not count as failures in a row", () => {
  const { call } = newHealth();
  assert.equal(Array.from({ length: 19 }, () => call("refusal")).includes(true), false);
  assert.equal(call("refusal"), true);
});

test("what the caller cancelled teaches nothing", () => {
  const { health, call } = newHealth();
  for (let calls = 0; calls < 50; calls += 1) call("unknown");
  assert.equal(health.standing(0).kind, "in");
  assert.equal(health.load(0), 30);
});

test("after its time out one call decides; each further time is longer", () => {
  const { health, call } = newHealth();
  for (let calls = 0; calls < 5; calls += 1) call("failure", 0);
  assert.equal(health.isOpen(4_999), false);
  assert.equal(health.isOpen(5_000), true);
  assert.equal(health.wantsCall(5_000), true);
  health.begin(5_000);
  assert.equal(health.isOpen(5_000), false, "one at a time");
  assert.equal(health.end("failure", 1, 5_001, EJECTION), true);
  health.eject(5_001, EJECTION);
  assert.equal(health.isOpen(15_000), false);
  assert.equal(health.isOpen(15_001), true, "10 s the second time");
  call("unknown", 15_001);
  assert.equal(health.isOpen(15_001), true, "a cancelled trial decides nothing");
  call("success", 15_001);
  assert.equal(health.standing(15_001).kind, "in");
  assert.equal(health.load(15_001), 10, "its bad name is forgotten");
});

test("an endpoint that behaved for long begins anew", () => {
  const { health, call } = newHealth();
  for (let calls = 0; calls < 5; calls += 1) call("failure", 0);
  call("success", 5_000);
  for (let calls = 0; calls < 5; calls += 1) call("failure", 100_000);
  assert.equal(health.ejections, 1);
});
