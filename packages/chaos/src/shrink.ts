/** Makes a failing schedule small: fewer faults, shorter ones, no waiting (delta debugging). Pure but for `fails`. */
import { endOf, MIN_DURATION_SECONDS, type Schedule, type Step, withDuration } from "./schedule.ts";

export type ShrinkOptions = {
  /** Runs a schedule; true when it fails as the first one did. */
  readonly fails: (candidate: Schedule) => Promise<boolean>;
  /** Runs that may be made. */
  readonly maxRuns: number;
};

export type Shrunk = { readonly schedule: Schedule; readonly runs: number };

/** A duration that cannot be told from the least one that fails. */
const RESOLUTION_SECONDS = 2;

/** The smallest schedule that was found to fail; `schedule` itself when nothing of it can go, or no run is left. */
export async function shrink(schedule: Schedule, { fails, maxRuns }: ShrinkOptions): Promise<Shrunk> {
  const known = new Map<string, boolean>();
  let runs = 0;
  const stillFails = async (candidate: Schedule): Promise<boolean> => {
    const id = JSON.stringify(candidate);
    const before = known.get(id);
    if (before !== undefined || runs >= maxRuns) return before ?? false;
    runs += 1;
    const outcome = await fails(candidate);
    known.set(id, outcome);
    return outcome;
  };
  let smallest = await withFewerSteps(schedule, stillFails);
  for (const index of smallest.steps.keys()) smallest = await withShorterStep(smallest, index, stillFails);
  smallest = await withoutWaiting(smallest, stillFails);
  return { schedule: smallest, runs };
}

type StillFails = (candidate: Schedule) => Promise<boolean>;

/** Leaves out halves, then quarters, down to single steps, as long as what remains fails. */
async function withFewerSteps(schedule: Schedule, stillFails: StillFails): Promise<Schedule> {
  let { steps } = schedule;
  let size = Math.ceil(steps.length / 2);
  while (steps.length > 1) {
    const without = await firstThatFails(leftOvers(steps, size), (rest) => stillFails({ ...schedule, steps: rest }));
    if (without !== undefined) {
      steps = without;
      size = Math.min(size, Math.ceil(steps.length / 2));
    } else if (size === 1) break;
    else size = Math.ceil(size / 2);
  }
  return { ...schedule, steps };
}

/** What is left without each run of `size` steps in turn; never nothing. */
function leftOvers(steps: readonly Step[], size: number): (readonly Step[])[] {
  const starts = Array.from({ length: Math.ceil(steps.length / size) }, (_, index) => index * size);
  return starts.map((start) => steps.toSpliced(start, size)).filter((rest) => rest.length > 0);
}

async function firstThatFails<T>(
  candidates: readonly T[],
  fails: (candidate: T) => Promise<boolean>,
): Promise<T | undefined> {
  for (const candidate of candidates) if (await fails(candidate)) return candidate;
  return undefined;
}

/** Bisects one fault's duration, taking for granted that a longer one fails where a shorter one does. */
async function withShorterStep(schedule: Schedule, index: number, stillFails: StillFails): Promise<Schedule> {
  const at = (seconds: number): Schedule => ({
    ...schedule,
    steps: schedule.steps.map((step, position) =>
      position === index ? { ...step, experiment: withDuration(step.experiment, seconds) } : step,
    ),
  });
  let failing = schedule.steps[index]?.experiment.spec.durationSeconds ?? MIN_DURATION_SECONDS;
  if (failing <= MIN_DURATION_SECONDS) return schedule;
  if (await stillFails(at(MIN_DURATION_SECONDS))) return at(MIN_DURATION_SECONDS);
  let passing = MIN_DURATION_SECONDS;
  let smallest = schedule;
  while (failing - passing > RESOLUTION_SECONDS) {
    const middle = Math.floor((failing + passing) / 2);
    if (await stillFails(at(middle))) {
      failing = middle;
      smallest = at(middle);
    } else passing = middle;
  }
  return smallest;
}

/** Begins at once, and goes from one fault to the next without a pause; what overlapped still does. */
async function withoutWaiting(schedule: Schedule, stillFails: StillFails): Promise<Schedule> {
  const steps: Step[] = [];
  let idleSeconds = 0;
  let busyUntil = 0;
  for (const step of schedule.steps.toSorted((a, b) => a.atSeconds - b.atSeconds)) {
    idleSeconds += Math.max(0, step.atSeconds - busyUntil);
    busyUntil = Math.max(busyUntil, endOf(step));
    steps.push({ ...step, atSeconds: step.atSeconds - idleSeconds });
  }
  const packed = { ...schedule, steps };
  return idleSeconds > 0 && (await stillFails(packed)) ? packed : schedule;
}
