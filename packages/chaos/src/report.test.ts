/** Reports of experiments in memory: what they say, what they cannot be made to say, and how large they get. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeWorld, type Knobs, specOf } from "../test/fake-world.ts";
import type { Second } from "./backend.ts";
import { quantileMs } from "./measure.ts";
import { makeReport, type Report } from "./report.ts";
import { thin } from "./report-curve.ts";
import { reportFiles } from "./report-files.ts";
import type { ExperimentStatus } from "./status.ts";
import { experimentStatus, MAX_TARGETS } from "./status-schema.ts";

const success = { name: "success", workload: "SuccessMilli", thresholdMilli: 990, during: { thresholdMilli: 500 } };
const collapse = { name: "collapse", workload: "SuccessMilli", op: "Less", thresholdMilli: 200, consecutive: 3 };
const checked = specOf({ steadyState: [success], stopConditions: [collapse] });
const failing = (fromS: number, toS: number, failed: number): Knobs["second"] => {
  return (atMs) => (atMs >= fromS * 1_000 && atMs < toS * 1_000 ? { accepted: 20 - failed, failed } : {});
};

async function reportOf(knobs: Partial<Knobs>): Promise<Report> {
  const world = new FakeWorld(knobs);
  await world.run();
  assert.ok(world.report);
  return world.report;
}

/** The names and kinds of the cases that are not green. */
function problemsIn(junit: string): string[] {
  const cases = [...junit.matchAll(/<testcase classname="[^"]*" name="([^"]*)"[^>]*><(failure|error|skipped) /g)];
  return cases.map(([, name, kind]) => `${kind} ${name}`);
}

test("a report that passed is green, and tells each part of the run", async () => {
  const report = await reportOf({ spec: checked });
  const { "junit.xml": junit, "report.json": json, "report.html": page } = reportFiles(report);
  assert.deepEqual(problemsIn(junit), []);
  assert.match(
    junit,
    /<testsuite name="kill-payment" tests="18" failures="0" errors="0" skipped="0" time="40\.000" timestamp="2026-01-01/,
  );
  assert.deepEqual(JSON.parse(json), JSON.parse(JSON.stringify(report)));
  assert.equal(JSON.parse(json).schemaVersion, 1);
  const parts = report.stretches.map(({ name, fromMs, toMs, accepted }) => [name, (toMs - fromMs) / 1_000, accepted]);
  assert.deepEqual(parts, [
    ["Baseline", 10, 200],
    ["Fault", 20, 400],
    ["Healing", 0, 0],
    ["Recovering", 10, 200],
    ["Judging", 0, 0],
  ]);
  assert.deepEqual(
    report.marks.map(({ kind, targets }) => `${kind} ${targets.length}`),
    ["Inject 1", "Inject 1", "Inject 1", "Heal 3"],
  );
  for (const text of ["Passed", "HypothesisHeld", "Observed 3 of 3", "success ≥ 99 %", "NoDoubleCharge"])
    assert.ok(page.includes(text), text);
});

const PROBLEMS: readonly (readonly [string, Partial<Knobs>, readonly string[]])[] = [
  [
    "a violated invariant is a failure",
    { violated: ["NoOrderLost"] },
    ["failure verdict", "failure invariant NoOrderLost"],
  ],
  [
    "a check beyond what is tolerated during the fault is a failure",
    { spec: checked, second: failing(12, 30, 11) },
    ["failure verdict", "failure check success (During)"],
  ],
  [
    "a stop condition is a failure",
    { spec: checked, second: failing(12, 30, 19) },
    ["failure verdict", "failure check success (During)", "failure stop condition collapse"],
  ],
  [
    "no recovery is a failure",
    { spec: checked, second: failing(30, 999, 5) },
    ["failure verdict", "failure check success (After)"],
  ],
  [
    "a baseline that is not met is an error, and what comes after it is skipped",
    { spec: checked, second: failing(0, 30, 5) },
    [
      "error verdict",
      "error check success (Before)",
      "skipped check success (During)",
      "skipped check success (After)",
      "skipped stop condition collapse",
    ],
  ],
  [
    "a fault that nobody saw is an error: such an experiment is not green",
    { seenShare: 0.7 },
    ["error verdict", "error the fault was observed"],
  ],
  ["what cannot be done here is skipped", { whyNot: "needs rights over the node" }, ["skipped verdict"]],
  ["a dry run is skipped", { spec: specOf({ dryRun: true }) }, ["skipped verdict"]],
  ["what nobody examined is an error", { findings: ["NoOrderLost"], spec: oneMore() }, oneMoreUnknown()],
];

function oneMore() {
  return specOf({ invariants: ["NoOrderLost", "SagaTerminal"] });
}

function oneMoreUnknown() {
  return ["error verdict", "error invariant SagaTerminal"];
}

for (const [title, knobs, expected] of PROBLEMS)
  test(title, async () => {
    const { "junit.xml": junit } = reportFiles(await reportOf(knobs));
    assert.deepEqual(problemsIn(junit), expected);
  });

const EVIL = `</title></style><script>alert(1)</script><img src=x onerror='alert(1)'> & "quoted" 'single'`;

test("no text of an experiment becomes markup", async () => {
  const report = await reportOf({
    spec: specOf({ description: EVIL, steadyState: [success] }),
    violated: ["NoOrderLost"],
  });
  const kept = /^(kind|outcome|phase|held|state|type|op|workload|.*[tT]ime|.*At)$/;
  const isFree = (key: string, value: unknown) => typeof value === "string" && !kept.test(key);
  const evil: Report = JSON.parse(JSON.stringify(report), (key, value) => (isFree(key, value) ? EVIL : value));
  const forms = reportFiles({ ...evil, stretches: report.stretches });
  for (const form of ["junit.xml", "report.html"] as const) {
    assert.doesNotMatch(forms[form], /<script|<img|<\/title><\/style>/);
    assert.ok(forms[form].split("&lt;script&gt;").length > 10, form);
  }
});

test("the page needs nothing from outside, and allows nothing", async () => {
  const { "report.html": page } = reportFiles(await reportOf({ spec: checked }));
  assert.match(page, /content="default-src &#39;none&#39;; style-src &#39;sha256-/);
  assert.doesNotMatch(page, /<(script|link|img|iframe|object|embed|base|form)\b/);
  assert.doesNotMatch(page, /\s(style|src|href|srcset|on[a-z]+)=|url\(|@import/);
});

test("the plot says in words what it shows", async () => {
  const { "report.html": page } = reportFiles(await reportOf({ spec: checked, second: failing(12, 30, 5) }));
  const [, said = ""] = /<desc id="plot-text">([^<]*)<\/desc>/.exec(page) ?? [];
  assert.match(said, /Baseline: 20 orders a second accepted, 0 requests failed, p99 50 ms/);
  assert.match(said, /Fault: 15.5 orders a second accepted, 90 requests failed/);
  assert.match(said, /At the worst moment 15 orders a second/);
});

test("without the customers' record there is a report, and it says so", async () => {
  const report = await reportOf({ second: () => undefined });
  assert.equal(report.curve, undefined);
  assert.match(reportFiles(report)["report.html"], /record of this run is not there/);
});

const second = (index: number, change: Partial<Second> = {}): Second => ({
  atMs: Date.UTC(2026, 0, 1) + index * 1_000,
  begun: 1_000,
  accepted: 999,
  failed: index % 7,
  p99Ms: 100 + (index % 13),
  latencies: [
    [10, 900],
    [100 + (index % 13), 99],
  ],
  ...change,
});

test("thinned out, sums stay and percentiles are those of all orders together", () => {
  const slow = second(1, { accepted: 1, p99Ms: 900, latencies: [[900, 1]] });
  const { everySeconds, points } = thin([second(0), slow, second(2)], 2);
  assert.equal(everySeconds, 2);
  assert.deepEqual(
    points.map(({ accepted, p99Ms }) => [accepted, p99Ms]),
    [
      [1_000, quantileMs(second(0).latencies, 0.99)],
      [999, 102],
    ],
  );
});

test("a report of two hours with everything that a status can hold fits into a ConfigMap", async () => {
  const { experiment, status } = await reportOf({ spec: checked });
  const startMs = Date.UTC(2026, 0, 1);
  const seconds = Array.from({ length: 7_200 }, (_, index) => second(index));
  const text = (length: number) => `"<\u00e4`.repeat(length / 3);
  const time = new Date(startMs).toISOString();
  const full: ExperimentStatus = {
    ...status,
    message: text(1_023),
    startTime: time,
    completionTime: new Date(startMs + 7_200_000).toISOString(),
    targets: Array.from({ length: MAX_TARGETS }, (_, index) => ({
      kind: "Pod",
      name: `${"n".repeat(240)}${index}`,
      uid: "u".repeat(36),
      node: "n".repeat(253),
      round: index,
      state: "Healed",
      injectedAt: new Date(startMs + index * 60_000).toISOString(),
      healedAt: new Date(startMs + 7_000_000).toISOString(),
      undo: text(4_095),
    })),
    faultEvidence: { expected: 1, observed: 1, detail: text(1_023) },
    invariants: Array.from({ length: 12 }, (_, index) => ({
      name: `I${index}`,
      held: "False",
      examined: 1,
      violations: 5,
      examples: Array.from({ length: 5 }, () => text(1_023)),
    })),
    conditions: status.conditions.map((condition) => ({ ...condition, message: text(1_023) })),
  };
  assert.ok(experimentStatus.safeParse(full).success, "the status is one that can be stored");
  const forms = Object.entries(
    reportFiles(makeReport({ experiment: { ...experiment, createdAtMs: startMs }, status: full, seconds })),
  );
  const bytes = forms.map(([name, form]) => [name, Buffer.byteLength(form)] as const);
  const total = bytes.reduce((sum, [, own]) => sum + own, 0);
  assert.ok(total < 900_000, `${total}: ${bytes.join(" ")}`);
});
