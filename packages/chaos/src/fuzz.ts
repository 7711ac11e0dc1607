/** Looks for a schedule that breaks an invariant, seed after seed, and makes the first one small. Pure but for `run`. */
import type { Experiment } from "./backend.ts";
import { composeSchedule, type Schedule } from "./schedule.ts";
import { shrink } from "./shrink.ts";

/** Names of invariants. */
export type Outcome = {
  readonly broken: readonly string[];
  /** What they are about could not be read: whether they held cannot be told. */
  readonly unknown: readonly string[];
};

export type FuzzOptions = {
  readonly catalogue: readonly Experiment[];
  /** Of the first schedule; each further one takes the next. */
  readonly seed: number;
  /** Whether another schedule is begun after so many. */
  readonly goesOn: (schedules: number) => boolean;
  /** Runs that may be spent on making a failing schedule small. */
  readonly maxShrinkRuns: number;
  /** Runs a schedule on a system that nothing has broken. */
  readonly run: (schedule: Schedule) => Promise<Outcome>;
  readonly say: (line: string) => void;
};

export type Finding = {
  readonly schedule: Schedule;
  /** Of the schedule as it was composed; each run of the smaller ones broke one of them at least. */
  readonly violated: readonly string[];
  readonly shrinkRuns: number;
};

export type Fuzzed = {
  /** Those that were composed; what they were made smaller to is not counted. */
  readonly schedules: number;
  /** Undefined when no schedule breaks anything. */
  readonly finding: Finding | undefined;
  /** Schedules that broke nothing, and of which not everything could be told. */
  readonly untold: number;
};

export async function fuzz({ catalogue, seed: first, goesOn, maxShrinkRuns, run, say }: FuzzOptions): Promise<Fuzzed> {
  let schedules = 0;
  let untold = 0;
  while (goesOn(schedules)) {
    const seed = first + schedules;
    schedules += 1;
    const schedule = composeSchedule(catalogue, seed);
    say(`seed ${seed}: ${describe(schedule)}`);
    const { broken: violated, unknown } = await run(schedule);
    if (violated.length === 0) {
      if (unknown.length > 0) {
        untold += 1;
        say(`seed ${seed} breaks nothing that could be told; ${unknown.join(", ")} could not`);
      }
      continue;
    }
    say(`seed ${seed} breaks ${violated.join(", ")}; looking for less that does`);
    const fails = async (candidate: Schedule) => {
      const isStill = (await run(candidate)).broken.some((name) => violated.includes(name));
      say(`${isStill ? "still" : "not "} ${describe(candidate)}`);
      return isStill;
    };
    const { schedule: least, runs } = await shrink(schedule, { fails, maxRuns: maxShrinkRuns });
    return { schedules, finding: { schedule: least, violated, shrinkRuns: runs }, untold };
  }
  return { schedules, finding: undefined, untold };
}

export function describe({ ratePerSecond, steps }: Schedule): string {
  const parts = steps.map(
    ({ experiment, atSeconds }) => `${experiment.name} ${atSeconds}-${atSeconds + experiment.spec.durationSeconds} s`,
  );
  return `${ratePerSecond} orders/s, ${parts.join(", ")}`;
}
