/** Runs experiments one after another, on one system for as long as none of them fails. */
import { performance } from "node:perf_hooks";
import type { Experiment } from "@ordermesh/chaos/backend";
import type { ExperimentStatus, VerdictWord } from "@ordermesh/chaos/status";
import type { ChaosSystem } from "./chaos-system.ts";

export type Result = {
  readonly experiment: Experiment;
  readonly status: ExperimentStatus;
  readonly seconds: number;
};

export type RunAllOptions = {
  /** Called for the first experiment, and again for the next one after a Failed: what it left could be blamed on others. */
  readonly start: () => Promise<ChaosSystem>;
  /** Aborted: what runs is healed and ends, and nothing else is begun. */
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  readonly onResult?: (result: Result) => void;
};

/** No process is left when this resolves. */
export async function runAll(
  experiments: readonly Experiment[],
  { start, signal, say, onResult = () => undefined }: RunAllOptions,
): Promise<Result[]> {
  const results: Result[] = [];
  let system: ChaosSystem | undefined;
  try {
    for (const [index, experiment] of experiments.entries()) {
      if (signal.aborted) break;
      system ??= await start();
      say(`${experiment.name} (${index + 1} of ${experiments.length}): ${experiment.spec.description}`);
      const result = await runOne(system, { ...experiment, createdAtMs: Date.now() }, { signal, say });
      results.push(result);
      say(`  ${result.status.verdict} ${result.status.reason}: ${result.status.message}`);
      onResult(result);
      if (result.status.verdict !== "Failed") continue;
      await system.stop();
      system = undefined;
    }
  } finally {
    await system?.stop();
  }
  return results;
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
      if (line !== told) say(`${seconds().toFixed(0).padStart(5)} s  ${line}`);
      told = line;
    },
    onError: (error) => say(`${seconds().toFixed(0).padStart(5)} s  ${String(error)}; trying again`),
  });
  return { experiment, status, seconds: seconds() };
}

/** A phase, and what is done in it; changes a few times in an experiment. */
function describe({ phase, targets, faultEvidence }: ExperimentStatus): string {
  if (phase !== "Injecting" && phase !== "Running") return phase;
  const names = targets.map(({ name }) => name);
  const seen = faultEvidence === undefined ? "" : `, seen ${faultEvidence.observed} of ${faultEvidence.expected}`;
  return `${phase}: ${names.length === 0 ? "no target yet" : names.join(" ")}${seen}`;
}

/** 0 all Passed, 1 one Failed at least, 2 one Inconclusive at least, or none was run. */
export function exitCodeOf(results: readonly Result[], wanted: number): number {
  const has = (verdict: VerdictWord) => results.some(({ status }) => status.verdict === verdict);
  if (has("Failed")) return 1;
  return has("Inconclusive") || results.length < wanted ? 2 : 0;
}
