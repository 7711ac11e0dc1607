/** Looks for a schedule of faults that breaks an invariant for some minutes, on one system for as long as none does. */
import type { Experiment } from "@ordermesh/chaos/backend";
import { type Fuzzed, fuzz, type Outcome } from "@ordermesh/chaos/fuzz";
import type { Schedule } from "@ordermesh/chaos/schedule";
import type { ChaosSystem } from "./chaos-system.ts";
import { canBeScheduled, runSchedule } from "./run-schedule.ts";

/** Runs that may be spent on making a failing schedule small; each needs a new system. */
const MAX_SHRINK_RUNS = 12;

export type RunFuzzOptions = {
  readonly catalogue: readonly Experiment[];
  /** Of the first schedule; each further one takes the next. */
  readonly seed: number;
  readonly minutes: number;
  readonly start: () => Promise<ChaosSystem>;
  readonly say: (line: string) => void;
  /** Aborted: the schedule that runs is healed and judged, and no other is begun. */
  readonly signal: AbortSignal;
};

/** Begins no schedule after its time; what was found is made small whatever that takes. No process is left when this resolves. */
export async function runFuzz({ catalogue, seed, minutes, start, say, signal }: RunFuzzOptions): Promise<Fuzzed> {
  let system: ChaosSystem | undefined;
  const run = async (schedule: Schedule): Promise<Outcome> => {
    system ??= await start();
    const outcome = await runSchedule(system, schedule, { say: (line) => say(`  ${line}`), signal });
    if (outcome.broken.length === 0) return outcome;
    await system.stop();
    system = undefined;
    return outcome;
  };
  try {
    system = await start();
    const usable = catalogue.filter((experiment) => system !== undefined && canBeScheduled(system, experiment));
    const endsMs = performance.now() + minutes * 60_000;
    const goesOn = () => performance.now() < endsMs && !signal.aborted;
    return await fuzz({ catalogue: usable, seed, goesOn, maxShrinkRuns: MAX_SHRINK_RUNS, run, say });
  } finally {
    await system?.stop();
  }
}
