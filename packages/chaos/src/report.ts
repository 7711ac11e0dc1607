/** The report of an experiment that has ended: its record in one JSON document, from which the other forms are made. Pure. */
import type { Experiment, Second } from "./backend.ts";
import { type CheckResult, checkResults } from "./report-checks.ts";
import { type Curve, type Stretch, stretchesOf, thin } from "./report-curve.ts";
import type { ExperimentStatus } from "./status.ts";

/** Changes when a reader of the version before would misread a field; fields may be added. */
export const REPORT_VERSION = 1;

/** Something that was done to targets. */
export type Mark = { readonly atMs: number; readonly kind: "Inject" | "Heal"; readonly targets: readonly string[] };

export type Report = {
  readonly schemaVersion: typeof REPORT_VERSION;
  readonly experiment: Pick<Experiment, "name" | "namespace" | "uid" | "spec"> & { readonly createdAt: string };
  /** Without what a heal needed. Texts are cut, as everything here. */
  readonly status: ExperimentStatus;
  /** What came of each check in each phase, and of each stop condition. */
  readonly checks: readonly CheckResult[];
  /** What the customers met in each part of the run, from the whole record. */
  readonly stretches: readonly Stretch[];
  readonly marks: readonly Mark[];
  /** The customers' record, thinned out; undefined when there was none or it is lost. */
  readonly curve: Curve | undefined;
};

export type ReportInput = {
  readonly experiment: Omit<Experiment, "status" | "generation" | "isBeingDeleted">;
  /** Of its end, with the verdict. */
  readonly status: ExperimentStatus;
  /** From `startTime` to `completionTime`; undefined when the record is lost. */
  readonly seconds: readonly Second[] | undefined;
};

export function makeReport({ experiment, status, seconds }: ReportInput): Report {
  const { name, namespace, uid, createdAtMs, spec } = experiment;
  const targets = status.targets.map((target) => ({ ...target, undo: "" }));
  const report: Report = {
    schemaVersion: REPORT_VERSION,
    experiment: { name, namespace, uid, createdAt: new Date(createdAtMs).toISOString(), spec: cut(spec) },
    status: cut({ ...status, targets }),
    checks: cut(checkResults(spec, status)),
    stretches: stretchesOf(status, seconds ?? []),
    marks: marksOf(status),
    curve: seconds === undefined || seconds.length === 0 ? undefined : thin(seconds),
  };
  return report;
}

export function renderJson(report: Report): string {
  return `${JSON.stringify(report, null, 1)}\n`;
}

/** What happened to several targets in the same second is one mark. */
function marksOf({ targets }: ExperimentStatus): Mark[] {
  const marks = new Map<string, Mark>();
  const add = (kind: Mark["kind"], time: string | undefined, name: string) => {
    if (time === undefined) return;
    const key = `${kind} ${Math.floor(Date.parse(time) / 1_000)}`;
    const { atMs, targets: others } = marks.get(key) ?? { atMs: Date.parse(time), targets: [] };
    marks.set(key, { atMs, kind, targets: [...others, name] });
  };
  for (const { name, injectedAt, healedAt } of targets) {
    add("Inject", injectedAt, name);
    add("Heal", healedAt, name);
  }
  return [...marks.values()].sort((a, b) => a.atMs - b.atMs);
}

/** Three forms of a report with all that a status can hold fit into one ConfigMap, which takes 1 MiB. */
const MAX_TEXT = 1_024;
const MAX_EXAMPLE = 300;

/** Every text in it at most so long; a list of texts is one of examples. */
function cut<T>(value: T, maxText = MAX_TEXT): T {
  if (typeof value === "string") return (value.length <= maxText ? value : `${value.slice(0, maxText - 1)}…`) as T;
  if (Array.isArray(value)) return value.map((item) => cut(item, MAX_EXAMPLE)) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, cut(field)])) as T;
}
