import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "@ordermesh/mesh/manual-clock";
import { Arrivals } from "./arrivals.ts";
import type { PlannedOrder } from "./schedule.ts";

const order = (key: string, pause: number): PlannedOrder => ({
  key,
  pause,
  lines: [],
  card: "tok_visa",
  isReplayed: false,
  isReused: false,
  isRead: false,
});

function follow(arrivals: Arrivals) {
  const came: [string, number][] = [];
  const stop = new AbortController();
  const done = (async () => {
    for await (const {
      order: { key },
      dueMs,
    } of arrivals.until(stop.signal))
      came.push([key, Math.round(dueMs - 1_000)]);
  })();
  return { came, stop, done };
}

test("an order is due after its share of the pause at the rate", async () => {
  const clock = new ManualClock();
  const { came, done } = follow(new Arrivals([order("a", 1), order("b", 2), order("c", 0.5)], 10, clock));
  await clock.advance(99);
  assert.deepEqual(came, []);
  await clock.advance(1_000);
  await done;
  assert.deepEqual(came, [
    ["a", 100],
    ["b", 300],
    ["c", 350],
  ]);
});

test("a changed rate changes what is left of the pause at once, up and down", async () => {
  const clock = new ManualClock();
  const arrivals = new Arrivals([order("a", 10), order("b", 1)], 1, clock);
  const { came, done } = follow(arrivals);
  await clock.advance(5_000); // Half of the pause is over.
  arrivals.setRate(10);
  await clock.advance(500);
  assert.deepEqual(came, [["a", 5_500]]);
  arrivals.setRate(0.5);
  await clock.advance(2_000);
  await done;
  assert.deepEqual(came[1], ["b", 7_500]);
});

test("orders that are due while nobody looks come with the time at which they were due", async () => {
  const clock = new ManualClock();
  const orders = new Arrivals([order("a", 1), order("b", 1)], 1, clock).until(new AbortController().signal);
  const first = orders.next();
  await clock.advance(1_000);
  await first;
  await clock.advance(10_000);
  const second = await orders.next();
  assert.equal(second.value?.dueMs, 3_000);
});

test("nothing is due any more after the end", async () => {
  const clock = new ManualClock();
  const { came, stop, done } = follow(new Arrivals([order("a", 1)], 1, clock));
  stop.abort();
  await done;
  await clock.advance(5_000);
  assert.deepEqual(came, []);
});
