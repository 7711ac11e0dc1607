import assert from "node:assert/strict";
import { test } from "node:test";
import { growthOf, residentKib, type Sample } from "./memory.ts";

const WARM_UP_MS = 60_000;
const STEP_MS = 10_000;

/** A life of so many minutes that begins at so many KiB after its warm-up, in which it had half of that. */
function life(
  pid: number,
  { minutes, fromKib, perTenMinutes }: Record<"minutes" | "fromKib" | "perTenMinutes", number>,
) {
  const count = (minutes * 60_000 + WARM_UP_MS) / STEP_MS;
  return Array.from({ length: count }, (_, index): Sample => {
    const ageMs = index * STEP_MS;
    const grown = 1 + (perTenMinutes * (ageMs - WARM_UP_MS)) / 600_000;
    return {
      name: "order-1",
      pid,
      atMs: pid * 10_000_000 + ageMs,
      kib: ageMs < WARM_UP_MS ? fromKib / 2 : fromKib * grown,
    };
  });
}

test("memory that stays is no growth, whatever a later life begins with", () => {
  const samples = [
    ...life(1, { minutes: 10, fromKib: 100_000, perTenMinutes: 0 }),
    ...life(2, { minutes: 9, fromKib: 140_000, perTenMinutes: 0 }),
  ];
  const [growth] = growthOf(samples, WARM_UP_MS);
  assert.ok(Math.abs(growth?.perTenMinutes ?? 1) < 1e-9);
  assert.deepEqual([growth?.lives, Math.round(growth?.minutes ?? 0)], [2, 19]);
});

test("a leak is seen over several lives, as its share of the mean", () => {
  const samples = [1, 2, 3].flatMap((pid) => life(pid, { minutes: 9, fromKib: 100_000, perTenMinutes: 0.1 }));
  const [growth] = growthOf(samples, WARM_UP_MS);
  assert.ok(Math.abs((growth?.perTenMinutes ?? 0) - 0.1) < 0.01, `${growth?.perTenMinutes}`);
});

test("a step to where memory stays is no part of the median, steps without an end are", () => {
  const stepped = (isUp: (minute: number) => number) =>
    life(1, { minutes: 20, fromKib: 100_000, perTenMinutes: 0 }).map((one, index) => ({
      ...one,
      kib: one.kib * (1 + 0.05 * isUp((index * STEP_MS) / 60_000)),
    }));
  const [once] = growthOf(
    stepped((minute) => (minute > 16 ? 1 : 0)),
    WARM_UP_MS,
  );
  assert.equal(once?.medianPerTenMinutes, 0);
  assert.ok(Math.abs((once?.addedMib ?? 0) - 5_000 / 1_024) < 0.01);
  const [again] = growthOf(
    stepped((minute) => Math.floor(minute / 4)),
    WARM_UP_MS,
  );
  assert.ok(Math.abs((again?.medianPerTenMinutes ?? 0) - 0.115) < 0.01, `${again?.medianPerTenMinutes}`);
});

test("of lives that end before they are warm, or soon after, nothing is said", () => {
  for (const minutes of [0, 5]) {
    const samples = life(1, { minutes, fromKib: 100_000, perTenMinutes: 0.1 });
    assert.equal(growthOf(samples, WARM_UP_MS)[0]?.perTenMinutes, Number.NaN);
  }
});

test("a short life beside a long one does not decide", () => {
  const samples = [
    ...life(1, { minutes: 10, fromKib: 100_000, perTenMinutes: 0 }),
    ...life(2, { minutes: 5, fromKib: 100_000, perTenMinutes: 0.5 }),
  ];
  assert.ok(Math.abs(growthOf(samples, WARM_UP_MS)[0]?.perTenMinutes ?? 1) < 1e-9);
});

test("the operating system tells of this process, and not of one that is none", async () => {
  const found = await residentKib([process.pid, 999_999_999]);
  assert.deepEqual([...found.keys()], [process.pid]);
  assert.ok((found.get(process.pid) ?? 0) > 10_000);
});
