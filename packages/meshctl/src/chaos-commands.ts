/** `meshctl chaos`: experiments on processes of this machine. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Report } from "@ordermesh/chaos/report";
import { reportFiles } from "@ordermesh/chaos/report-files";
import { renderJunitOf } from "@ordermesh/chaos/report-junit";
import { writeSchedule } from "@ordermesh/chaos/schedule";
import { exitCodeOf, figuresOf } from "@ordermesh/chaos/summary";
import { readCatalogue } from "@ordermesh/chaos-local/catalogue";
import { ChaosSystem } from "@ordermesh/chaos-local/chaos-system";
import { type Result, runAll } from "@ordermesh/chaos-local/run-all";
import { runFuzz } from "@ordermesh/chaos-local/run-fuzz";
import { progressTo } from "@ordermesh/local/progress";
import type { Output, Row } from "./output.ts";

export type ChaosContext = {
  readonly output: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Progress, one line at a time; not mixed with the output. */
  readonly progress: NodeJS.WriteStream;
  readonly signal: AbortSignal;
};

export type RunFilesOptions = {
  /** Files and folders of experiments. */
  readonly files: readonly string[];
  /** Systems at a time. */
  readonly systems: number;
  /** Where the results go as JUnit XML; written again after each experiment. */
  readonly junit: string | undefined;
  /** Folder that gets one for each experiment with its report in three forms. */
  readonly report: string | undefined;
};

/** Resolves with the exit code. @throws ExperimentFileError, RangeError before anything is started */
export async function runFiles(
  { output, env, progress, signal }: ChaosContext,
  { files, systems, junit, report }: RunFilesOptions,
): Promise<number> {
  if (!Number.isInteger(systems) || systems < 1) throw new RangeError("--systems must be a whole number, 1 at least");
  const experiments = readCatalogue(files);
  const reports: Report[] = [];
  const say = (line: string) => void progress.write(`${line}\n`);
  const start = (system: number) =>
    ChaosSystem.start({ name: `chaos-${system}`, env, progress: progressTo(progress), signal });
  const onResult = (result: Result) => {
    reports.push(result.report);
    if (junit !== undefined) writeTo(junit, renderJunitOf(reports));
    for (const [name, text] of Object.entries(report === undefined ? {} : reportFiles(result.report)))
      writeTo(join(report ?? "", result.experiment.name, name), text);
  };
  const results = await runAll(experiments, { systems, start, signal, say, onResult });
  output.rows(results.map(toRow), "no experiment was run");
  return exitCodeOf(results, experiments.length);
}

export type FuzzOptions = {
  /** Files and folders of experiments whose faults are composed. */
  readonly files: readonly string[];
  readonly seed: number;
  readonly minutes: number;
  /** File for the schedule that was found. */
  readonly out: string;
};

/** Resolves with the exit code: 0 nothing was found, 1 something was, 2 nothing, but not all could be told. @throws ExperimentFileError, RangeError before anything is started */
export async function fuzzFiles(
  { output, env, progress, signal }: ChaosContext,
  { files, seed, minutes, out }: FuzzOptions,
): Promise<number> {
  if (!Number.isInteger(seed) || seed < 0) throw new RangeError("--seed must be a whole number, 0 at least");
  if (!(minutes > 0)) throw new RangeError("--minutes must be more than 0");
  const catalogue = readCatalogue(files);
  const say = (line: string) => void progress.write(`${line}\n`);
  const start = () => ChaosSystem.start({ name: "chaos-fuzz", env, progress: progressTo(progress), signal });
  const { schedules, finding, untold } = await runFuzz({ catalogue, seed, minutes, start, say, signal });
  const violated = finding?.violated.join(" ") ?? "";
  if (finding !== undefined) writeTo(out, writeSchedule(finding.schedule, `Breaks ${violated}.`));
  const shrinkRuns = finding?.shrinkRuns ?? 0;
  output.rows([{ seed, schedules, untold, violated, shrinkRuns, schedule: finding === undefined ? "" : out }], "");
  if (finding !== undefined) return 1;
  return untold > 0 ? 2 : 0;
}

function writeTo(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

function toRow({ experiment, status, seconds }: Result): Row {
  return {
    experiment: experiment.name,
    verdict: status.verdict,
    reason: status.reason,
    ...figuresOf(status),
    seconds: Math.round(seconds),
    message: status.message,
  };
}
