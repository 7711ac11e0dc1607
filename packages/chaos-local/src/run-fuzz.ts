/** Looks for a schedule of faults that breaks an invariant for some minutes, on one system for as long as none does. */
import type { Experiment } from "@ordermesh/chaos/backend";
import { type Finding, fuzz } from "@ordermesh/chaos/fuzz";
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

export type FuzzResult = { readonly schedules: number; readonly finding: Finding | undefined };

/** Begins no schedule after its time; what was found is made small whatever that takes. No process is left when this resolves. */
export async function runFuzz({ catalogue, seed, minutes, start, say, signal }: RunFuzzOptions): Promise<FuzzResult> {
  let system: ChaosSystem | undefined;
  const run = async (schedule: Schedule): Promise<readonly string[]> => {
    system ??= await start();
    const violated = await runSchedule(system, schedule, { say: (line) => say(`  ${line}`), signal });
    if (violated.length === 0) return violated;
    await system.stop();
    system = undefined;
    return violated;
  };
  try {
    system = await start();
    const usable = catalogue.filter((experiment) => system !== undefined && canBeScheduled(system, experiment));
    const endsMs = performance.now() + minutes * 60_000;
    let schedules = 0;
    while (performance.now() < endsMs && !signal.aborted) {
      const common = { catalogue: usable, rounds: 1, maxShrinkRuns: MAX_SHRINK_RUNS, run, say };
      const finding = await fuzz({ ...common, seed: seed + schedules });
      schedules += 1;
      if (finding !== undefined) return { schedules, finding };
    }
    return { schedules, finding: undefined };
  } finally {
    await system?.stop();
  }
}
