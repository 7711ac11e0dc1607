import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_SECONDS, Seconds } from "./seconds.ts";

const START_MS = 1_700_000_000_000;
const EVER = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER };

test("each second has its own counts, quiet ones too, and the one that goes on is not told", () => {
  const seconds = new Seconds(START_MS + 300);
  seconds.begun(START_MS + 400);
  seconds.accepted(START_MS + 900, 500);
  seconds.failed(START_MS + 2_100);
  seconds.begun(START_MS + 3_000);
  assert.deepEqual(seconds.list(EVER, START_MS + 3_999), [
    { atMs: START_MS, begun: 1, accepted: 1, failed: 0, p99Ms: 516, latencies: [[516, 1]] },
    { atMs: START_MS + 1_000, begun: 0, accepted: 0, failed: 0, p99Ms: null, latencies: [] },
    { atMs: START_MS + 2_000, begun: 0, accepted: 0, failed: 1, p99Ms: null, latencies: [] },
  ]);
});

test("neighbouring intervals share no second and leave none out", () => {
  const seconds = new Seconds(START_MS);
  const nowMs = START_MS + 10_000;
  const atOf = (fromMs: number, toMs: number) =>
    seconds.list({ fromMs: START_MS + fromMs, toMs: START_MS + toMs }, nowMs)?.map(({ atMs }) => atMs - START_MS);
  assert.deepEqual(atOf(0, 2_500), [0, 1_000]);
  assert.deepEqual(atOf(2_500, 4_000), [2_000, 3_000]);
  assert.deepEqual(atOf(4_000, 4_100), []);
  assert.deepEqual(atOf(4_100, 5_100), [4_000]);
  assert.deepEqual(atOf(-60_000, 1_000), [0]);
});

test("latencies are kept within 5 % and 1 ms, and never told as less than they were", () => {
  for (const latencyMs of [0, 1, 2, 7, 40, 99.4, 250, 8_000, 119_000]) {
    const seconds = new Seconds(START_MS);
    seconds.accepted(START_MS, latencyMs);
    const [[upToMs = 0] = []] = seconds.list(EVER, START_MS + 1_000)?.[0]?.latencies ?? [];
    assert.ok(upToMs >= latencyMs && upToMs <= latencyMs * 1.05 + 1, `${latencyMs} told as ${upToMs}`);
  }
});

test("memory is bounded: what was forgotten is not told as quiet", () => {
  const seconds = new Seconds(START_MS);
  seconds.begun(START_MS);
  const lateMs = START_MS + MAX_SECONDS * 1_000;
  seconds.begun(lateMs);
  assert.equal(seconds.list(EVER, lateMs + 1_000), undefined);
  assert.equal(seconds.list({ fromMs: START_MS + 1_000, toMs: lateMs + 1_000 }, lateMs + 1_000)?.length, MAX_SECONDS);
});
