/** The loop against a world in memory: every way to a verdict, a death at every step, two loops at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeWorld, type Knobs, specOf } from "../test/fake-world.ts";
import type { ExperimentStatus } from "./status.ts";

const success = {
  name: "success",
  workload: "SuccessMilli",
  thresholdMilli: 990,
  during: { thresholdMilli: 500, toleratedConsecutiveFailures: 1 },
};
const collapse = { name: "collapse", workload: "SuccessMilli", op: "Less", thresholdMilli: 200, consecutive: 3 };
const prometheus = { name: "edge", prometheus: { query: "edge" }, thresholdMilli: 900 };
const checked = specOf({ steadyState: [success], stopConditions: [collapse] });
const metered = specOf({ steadyState: [prometheus] });
const frozen = specOf({ action: { type: "Freeze", freeze: {} }, target: targetOf(2) });

function targetOf(maxTargets: number) {
  return { selector: { matchLabels: { component: "payment" } }, maxTargets, maxPercent: 100 };
}

/** 20 orders a second; some of them fail in the interval, seconds since the experiment was made. */
const failing = (fromS: number, toS: number, failed: number): Knobs["second"] => {
  return (atMs) => (atMs >= fromS * 1_000 && atMs < toS * 1_000 ? { accepted: 20 - failed, failed } : {});
};

test("the customers place the orders that the experiment asks for", async () => {
  for (const orders of ["Slow", "Mixed"] as const) {
    const world = new FakeWorld({ spec: specOf({ workload: { orders } }) });
    await world.run();
    assert.equal(world.orders, orders);
  }
});

test("an experiment goes through its phases, does each round once, and passes", async () => {
  const world = new FakeWorld({ spec: checked });
  const status = await world.run();
  assert.equal(`${status.verdict} ${status.reason}`, "Passed HypothesisHeld");
  const order = ["Pending", "Baseline", "Injecting", "Running", "Healing", "Recovering", "Judging", "Completed"];
  assert.deepEqual(world.phases, order);
  assert.deepEqual(
    world.injected.map((act) => act.split("#")[1]),
    ["1", "2", "3"],
  );
  assert.deepEqual(
    status.conditions.filter((condition) => condition.status !== "True"),
    [],
  );
  assert.deepEqual(status.faultEvidence, { expected: 3, observed: 3, detail: "3 were seen" });
  assert.deepEqual(status.accepted, { before: 200, during: 400, after: 200 });
  assert.equal(status.target, "payment 1/3");
});

test("one seed takes the same targets, another seed may take others", async () => {
  const taken = async (seed: number) => {
    const world = new FakeWorld({ spec: specOf({ seed }) });
    await world.run();
    return world.injected.join();
  };
  assert.equal(await taken(1), await taken(1));
  assert.ok(new Set(await Promise.all([1, 2, 3, 4, 5, 6].map(taken))).size > 1);
});

const ENDS: readonly (readonly [string, Partial<Knobs>, string])[] = [
  ["an invariant is violated", { violated: ["NoOrderLost"] }, "Completed Failed InvariantViolated"],
  [
    "an invariant is violated and the user has stopped it",
    { violated: ["NoOrderLost"], abortAtMs: 15_000 },
    "Aborted Failed InvariantViolated",
  ],
  ["the heal takes too long", { spec: frozen, healMs: 45_000 }, "Completed Failed HealIncomplete"],
  [
    "the steady state does not come back",
    { spec: checked, second: failing(30, 999, 5) },
    "Completed Failed NotRecovered",
  ],
  [
    "it is not steady during the fault",
    { spec: checked, second: failing(12, 30, 11) },
    "Completed Failed HypothesisFalsified",
  ],
  ["a stop condition is met", { spec: checked, second: failing(12, 30, 19) }, "Aborted Failed StopCondition"],
  ["the user stops it", { abortAtMs: 15_000 }, "Aborted Inconclusive AbortedByUser"],
  ["the user stops it before anything is done", { abortAtMs: 5_000 }, "Aborted Inconclusive AbortedByUser"],
  [
    "the lever is engaged",
    { whyNotNow: (atMs) => (atMs > 15_000 ? "the lever is engaged" : undefined) },
    "Aborted Inconclusive AbortedBySafetyLever",
  ],
  [
    "it is not allowed at all",
    { whyNotNow: () => "the namespace has not opted in" },
    "Completed Inconclusive NotAllowed",
  ],
  [
    "its time is over while events are on their way",
    { open: (atMs) => [`${atMs} events`] },
    "Completed Inconclusive NotDrained",
  ],
  ["it is deleted", { deleteAtMs: 15_000 }, "Aborted Inconclusive AbortedByDeletion"],
  [
    "nobody sees what goes on",
    { spec: metered, metric: (atMs) => (atMs < 15_000 ? 1 : undefined) },
    "Aborted Inconclusive AbortedWithoutSight",
  ],
  [
    "there is no data at all",
    { spec: specOf({ steadyState: [{ ...prometheus, intervalSeconds: 2 }] }), metric: () => Number.NaN },
    "Completed Inconclusive ProbeError",
  ],
  ["the baseline is not met", { spec: checked, second: failing(0, 30, 5) }, "Completed Inconclusive BaselineNotMet"],
  ["nothing matches", { candidates: () => [] }, "Completed Inconclusive NoTargets"],
  [
    "all that match are protected",
    { candidates: (all) => all.map((one) => ({ ...one, isProtected: true })) },
    "Completed Inconclusive NoTargets",
  ],
  ["it is found too late", { ageMs: 121_000 }, "Completed Inconclusive StartDeadlineExceeded"],
  ["the back end cannot do it", { whyNot: "needs rights over the node" }, "Completed Inconclusive NotSupported"],
  ["it was a dry run", { spec: specOf({ dryRun: true }) }, "Completed Inconclusive DryRun"],
  ["the injection fails", { injectError: "forbidden" }, "Completed Inconclusive InjectFailed"],
  ["the fault was not seen", { seenShare: 0.7 }, "Completed Inconclusive FaultNotObserved"],
  ["hardly an order came", { second: () => ({ accepted: 1 }) }, "Completed Inconclusive TooLittleTraffic"],
  [
    "hardly an order came after the fault",
    { second: (atMs) => (atMs < 30_000 ? {} : { accepted: 1 }) },
    "Completed Inconclusive TooLittleTraffic",
  ],
  ["the history is lost", { hasHistory: false }, "Completed Inconclusive HistoryLost"],
  ["an invariant was not looked at", { findings: ["NoOrderLost"] }, "Completed Inconclusive NotExamined"],
];

for (const [title, knobs, expected] of ENDS)
  test(`${expected}: ${title}`, async () => {
    const world = new FakeWorld(knobs);
    const { phase, verdict, reason, message } = await world.run();
    assert.equal(`${phase} ${verdict} ${reason}`, expected, message);
    assert.equal(world.active.size, 0, "nothing of the fault may be left");
    assert.notEqual(message, "");
  });

test("nothing is injected when it ends before the fault", async () => {
  const before = ENDS.filter(([, , end]) =>
    /NotAllowed|BaselineNotMet|NoTargets|StartDeadline|NotSupported|DryRun|ProbeError/.test(end),
  );
  assert.ok(before.length >= 7);
  for (const [title, knobs] of before) {
    const world = new FakeWorld(knobs);
    await world.run();
    assert.deepEqual(world.injected, [], title);
  }
});

test("the report tells the end that is stored, and a report that cannot be kept does not hold the end up", async () => {
  const world = new FakeWorld({ spec: checked });
  const { reportRef, ...status } = await world.run();
  assert.deepEqual(reportRef, { kind: "File", name: "kill-payment.json" });
  const targets = status.targets.map((target) => ({ ...target, undo: "" }));
  assert.deepEqual(world.report?.status, { ...status, targets });
  assert.ok((world.report?.curve?.points.length ?? 0) > 30);
  const full = await new FakeWorld({ reportError: "no space" }).run();
  assert.deepEqual([full.verdict, full.reportRef], ["Passed", undefined]);
});

test("orders that stand still are judged, not waited for", async () => {
  const world = new FakeWorld({ open: () => ["1 orders undecided"], violated: ["SagaTerminal"] });
  const { verdict, reason, message } = await world.run();
  assert.equal(`${verdict} ${reason}`, "Failed InvariantViolated");
  assert.match(message, /SagaTerminal/);
});

test("the time to recover is counted from the beginning of the heal", async () => {
  const world = new FakeWorld({ spec: checked, second: failing(30, 43, 5) });
  const { verdict, timeToRecoverSeconds } = await world.run();
  assert.equal(verdict, "Passed");
  assert.equal(timeToRecoverSeconds, 15);
});

test("a stop condition needs as many samples in a row as it says", async () => {
  const world = new FakeWorld({ spec: checked, second: failing(12, 15, 19) });
  assert.notEqual((await world.run()).reason, "StopCondition");
});

test("from an abort to the first act of the heal it takes less than two seconds", async () => {
  const world = new FakeWorld({ spec: frozen, abortAtMs: 15_500 });
  await world.run();
  assert.ok((world.firstHealAtMs ?? 0) - 15_500 < 2_000, String(world.firstHealAtMs));
});

test("a heal that fails is tried for ever, and said", async () => {
  const world = new FakeWorld({ spec: frozen, healMs: 900_000 });
  const status = await world.run();
  assert.ok(world.phases.includes("HealFailed"));
  assert.equal(status.reason, "HealIncomplete");
  assert.equal(world.active.size, 0);
});

const short = { baselineSeconds: 5, durationSeconds: 9, recoverySeconds: 12, steadyState: [success] };
const twoKills = specOf({ ...short, action: { type: "PodKill", podKill: { everySeconds: 3, times: 2 } } });
const shortFreeze = specOf({ ...short, action: { type: "Freeze", freeze: {} }, target: targetOf(2) });
const MORTAL: readonly (readonly [string, Partial<Knobs>, number])[] = [
  ["two rounds of kills", { spec: twoKills }, 2],
  ["a fault that holds", { spec: shortFreeze }, 2],
];
for (const [title, knobs, acts] of MORTAL)
  test(`${title}: wherever the loop dies, the acts are counted exactly and nothing is left`, async () => {
    const whole = new FakeWorld(knobs);
    await whole.run();
    assert.ok(whole.steps > 100, `${whole.steps} steps`);
    for (let dieAtStep = 1; dieAtStep <= whole.steps; dieAtStep += 1) {
      const world = new FakeWorld({ ...knobs, dieAtStep });
      const status = await world.run();
      const told = `died at step ${dieAtStep} in ${status.phase}`;
      assert.equal(status.verdict, "Passed", `${told}: ${status.reason} ${status.message}`);
      assert.equal(world.injected.length, acts, told);
      assert.equal(new Set(world.injected).size, acts, told);
      assert.equal(world.active.size, 0, told);
    }
  });

test("wherever the loop dies until the fault's time is over, the verdict says what was done", async () => {
  const spec = specOf({ ...short, durationSeconds: 5, action: { type: "PodKill", podKill: {} } });
  const reasons = new Set<string>();
  const whole = new FakeWorld({ spec });
  await whole.run();
  for (let dieAtStep = 1; dieAtStep <= whole.steps; dieAtStep += 1) {
    const { reason, message } = await new FakeWorld({ spec, dieAtStep, deadMs: 6_000 }).run();
    reasons.add(reason);
    assert.notEqual(message, "", `died at step ${dieAtStep}`);
  }
  assert.deepEqual([...reasons].sort(), ["HypothesisHeld", "NoTargets", "TooFewTargets"]);
});

test("two loops at once do each act once, wherever one of them stands", async () => {
  for (const offset of Array.from({ length: 40 }, (_, index) => index)) {
    const world = new FakeWorld({ spec: checked });
    let ended: ExperimentStatus | undefined;
    for (let turn = 0; turn < 2_000 && ended === undefined; turn += 1) {
      const first = world.visit();
      for (let tick = 0; tick < offset; tick += 1) await undefined;
      const waits = await Promise.all([first, world.visit()]);
      if (waits.includes(undefined)) ended = world.memory.status;
      world.advance(Math.min(...waits.map((wait) => wait ?? 0)));
    }
    assert.equal(ended?.verdict, "Passed", `offset ${offset}: ${ended?.message}`);
    assert.deepEqual(world.injected.length, new Set(world.injected).size);
    assert.equal(world.injected.length, 3, `offset ${offset}`);
  }
});
