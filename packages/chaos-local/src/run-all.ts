/** Runs experiments one after another on each of one or more systems, each for as long as nothing fails on it. */
import { performance } from "node:perf_hooks";
import type { Experiment, Reports } from "@ordermesh/chaos/backend";
import type { Report } from "@ordermesh/chaos/report";
import type { ExperimentStatus } from "@ordermesh/chaos/status";
import { seenIn } from "@ordermesh/chaos/summary";
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
    if (signal.aborted) return; // A start that was given up: what ran before has its results.
    say(`system ${number} takes no more experiments: ${String(error)}`);
    throw error;
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
  let report: Report | undefined;
  const reports: Reports = {
    keep: async (made) => {
      report = made;
      return undefined;
    },
  };
  const status = await system.run(experiment, reports, {
    signal,
    onStatus: (now) => {
      const line = describe(now);
      if (line !== told) say(`${seconds().toFixed(0).padStart(5)} s  ${experiment.name}: ${line}`);
      told = line;
    },
    onError: (error) =>
      say(`${seconds().toFixed(0).padStart(5)} s  ${experiment.name}: ${String(error)}; trying again`),
  });
  if (report === undefined) throw new Error(`${experiment.name} ended without a report`);
  return { experiment, status, seconds: seconds(), report };
}

/** A phase, and what is done in it; changes a few times in an experiment. */
function describe(status: ExperimentStatus): string {
  const { phase, targets } = status;
  if (phase !== "Injecting" && phase !== "Running") return phase;
  const names = [...new Set(targets.map(({ name }) => name))];
  return `${phase}: ${names.length === 0 ? "no target yet" : names.join(" ")}${seenIn(status)}`;
}
