/** Looks for a schedule that breaks an invariant, seed after seed, and makes the first one small. Pure but for `run`. */
import type { Experiment } from "./backend.ts";
import { composeSchedule, type Schedule } from "./schedule.ts";
import { shrink } from "./shrink.ts";

export type FuzzOptions = {
  readonly catalogue: readonly Experiment[];
  /** Of the first round; each further one takes the next. */
  readonly seed: number;
  readonly rounds: number;
  /** Runs that may be spent on making a failing schedule small. */
  readonly maxShrinkRuns: number;
  /** Runs a schedule on a system that nothing has broken; resolves with the names of the invariants that it breaks. */
  readonly run: (schedule: Schedule) => Promise<readonly string[]>;
  readonly say: (line: string) => void;
};

export type Finding = {
  readonly schedule: Schedule;
  /** Of the schedule as it was composed; each run of the smaller ones broke one of them at least. */
  readonly violated: readonly string[];
  readonly shrinkRuns: number;
};

/** Undefined when no round breaks anything. */
export async function fuzz({
  catalogue,
  seed: first,
  rounds,
  maxShrinkRuns,
  run,
  say,
}: FuzzOptions): Promise<Finding | undefined> {
  for (let seed = first; seed < first + rounds; seed += 1) {
    const schedule = composeSchedule(catalogue, seed);
    say(`seed ${seed}: ${describe(schedule)}`);
    const violated = await run(schedule);
    if (violated.length === 0) continue;
    say(`seed ${seed} breaks ${violated.join(", ")}; looking for less that does`);
    const fails = async (candidate: Schedule) => {
      const broken = (await run(candidate)).filter((name) => violated.includes(name));
      say(`${broken.length > 0 ? "still" : "not "} ${describe(candidate)}`);
      return broken.length > 0;
    };
    const { schedule: least, runs } = await shrink(schedule, { fails, maxRuns: maxShrinkRuns });
    return { schedule: least, violated, shrinkRuns: runs };
  }
  return undefined;
}

export function describe({ ratePerSecond, steps }: Schedule): string {
  const parts = steps.map(
    ({ experiment, atSeconds }) => `${experiment.name} ${atSeconds}-${atSeconds + experiment.spec.durationSeconds} s`,
  );
  return `${ratePerSecond} orders/s, ${parts.join(", ")}`;
}
