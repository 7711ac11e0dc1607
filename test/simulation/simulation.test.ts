/** The simulator itself: the same seed is the same run, the system passes, and every planted bug is found. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BUGS } from "./bugs.ts";
import { explore, hunt } from "./explore.ts";
import { run } from "./run.ts";

const CLEAN_RUNS = 100;
/** A few times what the rarest bug needed. */
const HUNT_RUNS = 3_000;

test("one seed is one interleaving, event by event", async () => {
  const record = async () => {
    const events: string[] = [];
    const result = await run({ seed: 7, trace: (atMs, label) => events.push(`${atMs} ${label}`) });
    return { events, result };
  };
  const [first, second] = [await record(), await record()];
  assert.ok(first.events.length > 100);
  assert.deepEqual(second, first);
});

test("different seeds are different interleavings in which orders are placed, processes die and everything holds", async () => {
  const summary = await explore({ firstSeed: 1, stride: 1, runs: CLEAN_RUNS, seconds: 120 });
  assert.deepEqual(summary.failures, []);
  assert.equal(new Set(summary.hashes).size, CLEAN_RUNS);
  assert.ok(summary.orders > CLEAN_RUNS, `${summary.orders} orders`);
  assert.ok(summary.crashes > CLEAN_RUNS / 4, `${summary.crashes} crashes`);
});

for (const bug of BUGS)
  test(`the bug ${bug.name} violates ${bug.breaks.join(" or ")}`, async () => {
    const { runs, failure } = await hunt(bug, 1, HUNT_RUNS);
    assert.ok(failure !== undefined, `not found in ${runs} runs`);
    assert.ok(
      bug.breaks.some((id) => failure.invariants.includes(id)),
      failure.examples.join("; "),
    );
    assert.deepEqual(await hunt(bug, failure.seed, 1), { runs: 1, failure }, "the seed finds it again");
  });
