/** A consumer is silent when it neither fetches nor handles. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "@ordermesh/mesh/manual-clock";
import { Pulse } from "./pulse.ts";

test("silence grows since the last beat", async () => {
  const clock = new ManualClock();
  const pulse = new Pulse(clock);
  await clock.advance(70);
  assert.equal(pulse.silentMs(), 70);
  pulse.beat();
  await clock.advance(5);
  assert.equal(pulse.silentMs(), 5);
});

test("work is life until it ends, also when it fails", async () => {
  const clock = new ManualClock();
  const pulse = new Pulse(clock);
  const { promise, reject } = Promise.withResolvers<void>();
  const failing = pulse.during(() => promise);
  const short = pulse.during(async () => undefined);
  await short;
  await clock.advance(100);
  assert.equal(pulse.silentMs(), 0);
  reject(new Error("no database"));
  await assert.rejects(failing);
  await clock.advance(30);
  assert.equal(pulse.silentMs(), 30);
});
