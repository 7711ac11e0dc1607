/** Runs experiments one after another on each of one or more systems, each for as long as nothing fails on it. */
import { performance } from "node:perf_hooks";
import type { Experiment } from "@ordermesh/chaos/backend";
import { makeReport, type Report } from "@ordermesh/chaos/report";
import type { ExperimentStatus, VerdictWord } from "@ordermesh/chaos/status";
import type { ChaosSystem } from "./chaos-system.ts";

export type Result = {
  readonly experiment: Experiment;
  readonly status: ExperimentStatus;
  readonly seconds: number;
  readonly report: Report;
};

export type RunAllOptions = {
  /** Systems at a time; 1 if not given. They share nothing but this machine's cores. */
  readonly systems?: number;
  /**
   * Starts the system of a number, from 1. Called for its first experiment, and again for the next one after a Failed: what that
   * left could be blamed on others.
   */
  readonly start: (system: number) => Promise<ChaosSystem>;
  /** Aborted: what runs is healed and ends, and nothing else is begun. */
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  readonly onResult?: (result: Result) => void;
};

/** Resolves with the results in the experiments' order. No process is left when this resolves. */
export async function runAll(experiments: readonly Experiment[], options: RunAllOptions): Promise<Result[]> {
  const results: Result[] = [];
  const waiting = experiments.entries(); // All systems take from it.
  const count = Math.min(options.systems ?? 1, experiments.length);
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  const ended = await Promise.allSettled(numbers.map((number) => runOn(number, waiting, results, options)));
  const failure = ended.find((end) => end.status === "rejected");
  if (failure !== undefined) throw failure.reason;
  return results.filter((result) => result !== undefined);
}

/** Takes one waiting experiment after another, and puts its result in its place. */
async function runOn(
  number: number,
  waiting: IterableIterator<[number, Experiment]>,
  results: Result[],
  { start, signal, say, onResult = () => undefined }: RunAllOptions,
): Promise<void> {
  let system: ChaosSystem | undefined;
  const next = async () => (system ??= await start(number));
  try {
    for (const [index, experiment] of waiting) {
      if (signal.aborted) break;
      say(`${experiment.name}: ${experiment.spec.description}`);
      const result = await runOne(await next(), { ...experiment, createdAtMs: Date.now() }, { signal, say });
      results[index] = result;
      say(`${experiment.name}: ${result.status.verdict} ${result.status.reason}: ${result.status.message}`);
      onResult(result);
      if (result.status.verdict !== "Failed") continue;
      const failed = await next();
      await failed.stop();
      say(`${experiment.name}: its logs and records are in ${failed.keepAs(`failed-${experiment.name}`)}`);
      system = undefined;
    }
  } catch (error) {
    if (!signal.aborted) throw error; // A start that was given up: what ran before has its results.
  } finally {
    await system?.stop();
  }
}

async function runOne(
  system: ChaosSystem,
  experiment: Experiment,
  { signal, say }: Pick<RunAllOptions, "signal" | "say">,
): Promise<Result> {
  const startedMs = performance.now();
  const seconds = () => (performance.now() - startedMs) / 1_000;
  let told = "";
  const status = await system.run(experiment, {
    signal,
    onStatus: (now) => {
      const line = describe(now);
      if (line !== told) say(`${seconds().toFixed(0).padStart(5)} s  ${experiment.name}: ${line}`);
      told = line;
    },
    onError: (error) =>
      say(`${seconds().toFixed(0).padStart(5)} s  ${experiment.name}: ${String(error)}; trying again`),
  });
  return { experiment, status, seconds: seconds(), report: await reportOf(system, experiment, status) };
}

async function reportOf({ ports }: ChaosSystem, experiment: Experiment, status: ExperimentStatus): Promise<Report> {
  const { startTime = "", completionTime = "" } = status;
  const interval = { fromMs: Date.parse(startTime) || 0, toMs: Date.parse(completionTime) || 0 };
  const seconds = await ports.workload.seconds(experiment.uid, interval).catch(() => undefined);
  return makeReport({ experiment, status, seconds });
}

/** A phase, and what is done in it; changes a few times in an experiment. */
function describe({ phase, targets, faultEvidence }: ExperimentStatus): string {
  if (phase !== "Injecting" && phase !== "Running") return phase;
  const names = [...new Set(targets.map(({ name }) => name))];
  const seen = faultEvidence === undefined ? "" : `, seen ${faultEvidence.observed} of ${faultEvidence.expected}`;
  return `${phase}: ${names.length === 0 ? "no target yet" : names.join(" ")}${seen}`;
}

/** 0 all Passed, 1 one Failed at least, 2 one Inconclusive at least, or none was run. */
export function exitCodeOf(results: readonly Result[], wanted: number): number {
  const has = (verdict: VerdictWord) => results.some(({ status }) => status.verdict === verdict);
  if (has("Failed")) return 1;
  return has("Inconclusive") || results.length < wanted ? 2 : 0;
}
