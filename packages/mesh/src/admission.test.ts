import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "prom-client";
import { AdaptiveLimit } from "./adaptive-limit.ts";
import { Admission, type ServerPolicy } from "./admission.ts";
import { LoopShedding } from "./loop-shedding.ts";
import { ManualClock } from "./manual-clock.ts";
import { createMeshMetrics } from "./metrics.ts";
import { TokenBucket } from "./token-bucket.ts";

const BOUNDS = { min: 20, max: 1_000 };
const GIVEN_MS = 250;

test("a limit in use grows while calls take as long as ever, up to its bound", () => {
  const limit = new AdaptiveLimit();
  for (let call = 0; call < 2_000; call += 1) limit.learn(10, GIVEN_MS, limit.within(BOUNDS), BOUNDS);
  assert.equal(limit.within(BOUNDS), 1_000);
});

test("a limit shrinks when calls take longer, and not below its bound", () => {
  const limit = new AdaptiveLimit();
  for (let call = 0; call < 100; call += 1) limit.learn(10, GIVEN_MS, 200, BOUNDS);
  const before = limit.within(BOUNDS);
  for (let call = 0; call < 20; call += 1) limit.learn(200, GIVEN_MS, before, BOUNDS);
  assert.ok(limit.within(BOUNDS) < before / 2, `${limit.within(BOUNDS)} of ${before}`);
  for (let call = 0; call < 200; call += 1) limit.learn(1_000 + call * 100, GIVEN_MS, 200, BOUNDS);
  assert.equal(limit.within(BOUNDS), 20);
});

test("calls that take a small part of their time are no overload, though they were faster before", () => {
  const limit = new AdaptiveLimit();
  for (let call = 0; call < 100; call += 1) limit.learn(10, 5_000, 200, BOUNDS);
  const before = limit.within(BOUNDS);
  for (let call = 0; call < 500; call += 1) limit.learn(600, 5_000, before, BOUNDS);
  assert.ok(limit.within(BOUNDS) >= before, `${limit.within(BOUNDS)} of ${before}`);
});

test("a limit that is not used up does not move", () => {
  const limit = new AdaptiveLimit();
  const before = limit.within(BOUNDS);
  for (let call = 0; call < 1_000; call += 1) limit.learn(call % 2 === 0 ? 1 : 1_000, GIVEN_MS, 3, BOUNDS);
  assert.equal(limit.within(BOUNDS), before);
});

test("a small limit shrinks to a few and grows again", () => {
  const bounds = { min: 4, max: 32 };
  const limit = new AdaptiveLimit(8);
  const learn = (times: number, ms: number) => {
    for (let call = 0; call < times; call += 1) limit.learn(ms, 3_500, limit.within(bounds), bounds);
    return limit.within(bounds);
  };
  assert.equal(learn(100, 200), 32);
  assert.ok(learn(100, 3_000) <= 6, `${limit.within(bounds)}`);
  assert.equal(learn(100, 200), 32);
});

test("a rate lets a burst pass and then so many a second", () => {
  const bucket = new TokenBucket();
  const policy = { perSecond: 10, burst: 5 };
  const takenAt = (ms: number) => Array.from({ length: 100 }, () => bucket.take(ms, policy)).filter(Boolean).length;
  assert.equal(takenAt(0), 5);
  assert.equal(takenAt(1_000), 5);
  assert.equal(takenAt(1_200), 2);
  assert.equal(takenAt(60_000), 5);
});

test("calls are shed when the loop was late for two seconds, more and more, and fewer when it is not", () => {
  const shedding = new LoopShedding();
  for (const ms of [500, 500, 500, 20]) shedding.learn(ms, 1);
  assert.equal(shedding.share, 0);
  for (let window = 0; window < 4; window += 1) shedding.learn(150, 0.9);
  assert.equal(shedding.share, 0.1);
  for (let window = 0; window < 20; window += 1) shedding.learn(150, 0.9);
  assert.equal(shedding.share, 0.9);
  for (let window = 0; window < 18; window += 1) shedding.learn(20, 0.9);
  assert.ok(shedding.share < 1e-9);
});

test("a loop that is late although it has little to do refuses nothing: it lacks CPU and not rest", () => {
  const shedding = new LoopShedding();
  for (let window = 0; window < 20; window += 1) shedding.learn(400, 0.3);
  assert.equal(shedding.share, 0);
});

function newAdmission(policy: ServerPolicy) {
  const clock = new ManualClock();
  const metrics = createMeshMetrics(new Registry(), clock);
  const admission = new Admission({ clock, random: () => 0.5, metrics, policy: () => policy });
  const shed = async () => (await metrics.callsShed.get()).values.map(({ labels, value }) => [labels.cause, value]);
  return { admission, clock, shed };
}

test("more calls of a method at a time than the limit are refused, and another method is not", async () => {
  const { admission, shed } = newAdmission({ concurrency: { min: 1, max: 2 }, rateLimit: undefined });
  const { promise, resolve } = Promise.withResolvers<string>();
  const open = [1, 2].map(() =>
    admission.run({ method: "Slow" }, { caller: "order", deadlineMs: 1_000 }, () => promise),
  );
  await assert.rejects(
    admission.run({ method: "Slow" }, { caller: "order", deadlineMs: 1_000 }, () => promise),
    { kind: "exhausted", reason: "SERVER_OVERLOADED" },
  );
  assert.equal(
    await admission.run({ method: "Other" }, { caller: "order", deadlineMs: 1_000 }, async () => "served"),
    "served",
  );
  resolve("done");
  assert.deepEqual(await Promise.all(open), ["done", "done"]);
  assert.equal(
    await admission.run({ method: "Slow" }, { caller: "order", deadlineMs: 1_000 }, async () => "served"),
    "served",
  );
  assert.deepEqual(await shed(), [["concurrency", 1]]);
  admission.close();
});

test("a caller that calls too often is refused, and another is not", async () => {
  const { admission, shed } = newAdmission({ concurrency: BOUNDS, rateLimit: { perSecond: 1, burst: 2 } });
  const call = (caller: string) =>
    admission.run({ method: "Get" }, { caller, deadlineMs: 1_000 }, async () => "served");
  assert.deepEqual(await Promise.all([call("a"), call("a")]), ["served", "served"]);
  await assert.rejects(call("a"), { kind: "exhausted", reason: "RATE_LIMITED" });
  assert.equal(await call("b"), "served");
  assert.deepEqual(await shed(), [["rate", 1]]);
  admission.close();
});

test("a method that waits for others is not limited for taking long", async () => {
  const { admission, clock } = newAdmission({ concurrency: BOUNDS, rateLimit: undefined });
  const servedOf150 = async (method: string, isWaiting: boolean) => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const context = { caller: "order", deadlineMs: clock.nowMs() + 5_000 };
    const calls = Array.from({ length: 150 }, () => admission.run({ method, isWaiting }, context, () => promise));
    const ended = Promise.allSettled(calls);
    await clock.advance(4_900);
    resolve("done");
    return (await ended).filter(({ status }) => status === "fulfilled").length;
  };
  for (let round = 0; round < 5; round += 1) assert.equal(await servedOf150("Wait", true), 150);
  const quick = { caller: "order", deadlineMs: clock.nowMs() + 60_000 };
  for (let call = 0; call < 20; call += 1) await admission.run({ method: "Work" }, quick, async () => "served");
  await servedOf150("Work", false);
  assert.ok((await servedOf150("Work", false)) < 150);
  admission.close();
});
