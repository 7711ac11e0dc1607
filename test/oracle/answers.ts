/** What the oracle said, and whether that was right: a planted bug must be found and named, a clean system must not be blamed. Pure. */
import type { ExperimentSpec } from "@ordermesh/chaos/experiment";
import { checkResults } from "@ordermesh/chaos/report-checks";
import type { ExperimentStatus, VerdictWord } from "@ordermesh/chaos/status";
import type { JunitCase, JunitProblem, JunitSuite } from "@ordermesh/judge/junit";
import type { Bug } from "./bugs.ts";

export type Answer = {
  /** `undefined`: nothing is planted. */
  readonly bug: Pick<Bug, "name" | "named"> | undefined;
  readonly experiment: string;
  readonly seed: number;
  readonly verdict: VerdictWord | "";
  readonly reason: string;
  readonly message: string;
  /** Invariants that were violated and checks that failed. */
  readonly named: readonly string[];
  readonly seconds: number;
};

type Judged = { readonly spec: ExperimentSpec; readonly status: ExperimentStatus };

/** What the verdict is about, by name. */
export function namedIn({ spec, status }: Judged): string[] {
  const violated = status.invariants.filter(({ held }) => held === "False").map(({ name }) => name);
  const failed = checkResults(spec, status)
    .filter(({ outcome }) => outcome === "Failed")
    .map(({ name }) => name);
  return [...new Set([...violated, ...failed])];
}

/** `wrong`: a bug was not found or a clean system was blamed. `unclear`: Inconclusive, where it should have been clear. */
export function isRight({ bug, verdict, reason, named }: Answer): "right" | "wrong" | "unclear" {
  if (bug === undefined) return verdict === "Passed" ? "right" : verdict === "Failed" ? "wrong" : "unclear";
  const isNamed = [reason, ...named].some((name) => bug.named.includes(name));
  return verdict === "Failed" && isNamed ? "right" : "wrong";
}

/** `14 of 15 planted bugs found. 0 false Failed in 50 clean runs, 1 Inconclusive.` */
export function summaryOf(answers: readonly Answer[]): string {
  const planted = answers.filter(({ bug }) => bug !== undefined);
  const clean = answers.filter(({ bug }) => bug === undefined);
  const count = (of: readonly Answer[], word: ReturnType<typeof isRight>) =>
    of.filter((answer) => isRight(answer) === word).length;
  const parts = [
    `${count(planted, "right")} of ${planted.length} planted bugs found.`,
    `${count(clean, "wrong")} false Failed in ${clean.length} clean runs, ${count(clean, "unclear")} Inconclusive.`,
  ];
  return parts.filter((_, index) => [planted, clean][index]?.length !== 0).join(" ");
}

export function toLine(answer: Answer): string {
  const { bug, experiment, verdict, reason, named, seconds } = answer;
  const mark = { right: "ok   ", wrong: "WRONG", unclear: "?    " }[isRight(answer)];
  const what = (bug?.name ?? "nothing planted").padEnd(26);
  const said = `${verdict || "no verdict"} ${named.join(", ") || reason}`;
  return `${mark} ${what} ${experiment.padEnd(30)} ${`${Math.round(seconds)} s`.padStart(6)}  ${said}`;
}

export function toSuites(answers: readonly Answer[]): JunitSuite[] {
  const suite = (name: string, of: readonly Answer[]): JunitSuite[] =>
    of.length === 0 ? [] : [{ name, cases: of.map(toCase) }];
  return [
    ...suite(
      "planted bugs",
      answers.filter(({ bug }) => bug !== undefined),
    ),
    ...suite(
      "clean runs",
      answers.filter(({ bug }) => bug === undefined),
    ),
  ];
}

function toCase(answer: Answer): JunitCase {
  const { bug, experiment, seed, seconds } = answer;
  const kind: JunitProblem["kind"] | undefined = { right: undefined, wrong: "failure", unclear: "error" }[
    isRight(answer)
  ] as JunitProblem["kind"] | undefined;
  const problem = kind === undefined ? undefined : { kind, message: told(answer) };
  return { name: bug?.name ?? `${experiment}, seed ${seed}`, seconds, problem };
}

function told({ bug, verdict, reason, message, named }: Answer): string {
  const wanted = bug === undefined ? "Passed" : `Failed by ${bug.named.join(" or ")}`;
  return `wanted ${wanted}; got ${verdict} ${reason}, naming ${named.join(", ") || "nothing"}: ${message}`;
}
