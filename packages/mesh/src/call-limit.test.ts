import assert from "node:assert/strict";
import { test } from "node:test";
import { CallLimit } from "./call-limit.ts";
import { ManualClock } from "./manual-clock.ts";

const newLimit = () => {
  const clock = new ManualClock();
  return { clock, limit: new CallLimit(clock, () => ({ inFlight: 1, queued: 2, maxWaitMs: 500 })) };
};

test("calls beyond the limit wait in their order", async () => {
  const { limit } = newLimit();
  const entered: number[] = [];
  assert.equal(limit.tryEnter(), true);
  const waiting = [1, 2].map((number) => limit.wait(1_000, undefined).then(() => entered.push(number)));
  assert.equal(limit.tryEnter(), false);
  limit.leave();
  await waiting[0];
  assert.deepEqual([entered, limit.inFlight, limit.queued], [[1], 1, 1]);
  limit.leave();
  await waiting[1];
  limit.leave();
  assert.deepEqual([entered, limit.inFlight, limit.tryEnter()], [[1, 2], 0, true]);
});

test("a full queue refuses at once", async () => {
  const { limit } = newLimit();
  limit.tryEnter();
  const waiting = [limit.wait(1_000, undefined), limit.wait(1_000, undefined)];
  await assert.rejects(limit.wait(1_000, undefined), { kind: "exhausted", reason: "TOO_MANY_CALLS" });
  limit.leave();
  limit.leave();
  await Promise.all(waiting);
});

test("a call that has waited for as long as the policy lets it is refused", async () => {
  const { limit, clock } = newLimit();
  limit.tryEnter();
  const refused = assert.rejects(limit.wait(1_000, undefined), { kind: "exhausted", reason: "TOO_MANY_CALLS" });
  await clock.advance(499);
  assert.equal(limit.queued, 1);
  await clock.advance(1);
  await refused;
  assert.equal(limit.queued, 0);
});

test("who waited too long or was cancelled takes no place", async () => {
  const { limit, clock } = newLimit();
  limit.tryEnter();
  const late = assert.rejects(limit.wait(100, undefined), { kind: "deadline" });
  const abort = new AbortController();
  const cancelled = assert.rejects(limit.wait(1_000, abort.signal), { kind: "cancelled" });
  abort.abort();
  await clock.advance(100);
  await Promise.all([late, cancelled]);
  limit.leave();
  assert.deepEqual([limit.inFlight, limit.queued], [0, 0]);
});
