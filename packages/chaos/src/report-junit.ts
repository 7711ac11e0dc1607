/**
 * A report for CI: the experiment is a suite; its verdict, its evidence, its checks and its invariants are the cases. A verdict that
 * nobody can give is an error, which CI shows red like a failure: an experiment that proved nothing must not look like one that
 * passed. Only what was never meant to be done here, or not at all, is skipped. Pure.
 */
import { type JunitCase, type JunitProblem, type JunitSuite, toJunit } from "@ordermesh/judge/junit";
import type { Report } from "./report.ts";
import type { CheckResult } from "./report-checks.ts";

/** Inconclusive by intention. */
const NOT_TRIED: ReadonlySet<string> = new Set(["NotSupported", "DryRun"]);

export function renderJunit(report: Report): string {
  return renderJunitOf([report]);
}

/** Several experiments in one document. */
export function renderJunitOf(reports: readonly Report[]): string {
  return toJunit(reports.map(suiteOf));
}

function suiteOf({ experiment, status, checks }: Report): JunitSuite {
  const { startTime, completionTime } = status;
  const seconds = (Date.parse(completionTime ?? "") - Date.parse(startTime ?? "")) / 1_000 || 0;
  return {
    name: experiment.name,
    seconds,
    ...(startTime === undefined ? {} : { startedAt: startTime }),
    cases: [
      { name: "verdict", seconds, problem: problemOfVerdict(status) },
      ...checks.map(caseOfCheck),
      ...evidenceCase(status),
      ...status.invariants.map(caseOfInvariant),
    ],
  };
}

function problemOfVerdict({ verdict, reason, message }: Report["status"]): JunitProblem | undefined {
  if (verdict === "Passed") return undefined;
  const kind = verdict === "Failed" ? "failure" : NOT_TRIED.has(reason) ? "skipped" : "error";
  return { kind, message: `${verdict || "No verdict yet"}, ${reason}: ${message}` };
}

function caseOfCheck({ name, phase, isStopCondition, outcome, ...told }: CheckResult): JunitCase {
  const what = isStopCondition ? `stop condition ${name}` : `check ${name} (${phase})`;
  const { rule, worst, samples, failures, errors } = told;
  const message = `${rule}; worst ${worst ?? "unknown"}, ${failures} of ${samples} samples failed, ${errors} had no data`;
  // A baseline that is not met says nothing of the hypothesis.
  const kind = phase === "Before" ? "error" : "failure";
  if (outcome === "Held") return { name: what, seconds: 0, problem: undefined };
  return { name: what, seconds: 0, problem: { kind: outcome === "Failed" ? kind : "skipped", message } };
}

/** None where the fault was never put in. */
function evidenceCase({ faultEvidence, injectStartTime }: Report["status"]): JunitCase[] {
  if (injectStartTime === undefined) return [];
  const { expected, observed, detail } = faultEvidence ?? { expected: 0, observed: 0, detail: "nothing was looked at" };
  const isSeen = expected > 0 && observed >= expected;
  const problem = { kind: "error", message: `${observed} of ${expected}: ${detail}` } as const;
  return [{ name: "the fault was observed", seconds: 0, problem: isSeen ? undefined : problem }];
}

function caseOfInvariant({
  name,
  held,
  examined,
  violations,
  examples,
}: Report["status"]["invariants"][number]): JunitCase {
  const found = `${violations} violations in ${examined}${examples.length === 0 ? "" : `: ${examples.join("; ")}`}`;
  const problem =
    held === "True" ? undefined : ({ kind: held === "False" ? "failure" : "error", message: found } as const);
  return { name: `invariant ${name}`, seconds: 0, problem };
}
