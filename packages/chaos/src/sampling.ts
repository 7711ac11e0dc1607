/** Takes the samples that are due and adds them to the status. */
import {
  addSample,
  findCheck,
  isDue,
  type LoadPhase,
  MAX_ERRORS,
  type Probe,
  probesOf,
  stopProbesOf,
} from "./checks.ts";
import type { CheckStatus } from "./status.ts";
import type { Visit } from "./visit.ts";

/** Samples what is due in the phase; with `isLast` also what was never sampled, so that a short phase is not without any. */
export async function sampleChecks(visit: Visit, phase: LoadPhase, startMs: number, isLast = false): Promise<void> {
  const probes = probesOf(visit.spec, phase);
  await visit.save({ checks: await sample(visit, visit.status.checks, { probes, phase, startMs, isLast }) });
}

export async function sampleStopConditions(visit: Visit, startMs: number): Promise<void> {
  const probes = stopProbesOf(visit.spec);
  const options = { probes, phase: "During" as const, startMs, isLast: false };
  await visit.save({ stopConditions: await sample(visit, visit.status.stopConditions, options) });
}

type Sampling = {
  readonly probes: readonly Probe[];
  readonly phase: LoadPhase;
  readonly startMs: number;
  readonly isLast: boolean;
};

async function sample(visit: Visit, checks: readonly CheckStatus[], sampling: Sampling): Promise<CheckStatus[]> {
  const { probes, phase, startMs, isLast } = sampling;
  const all = [...checks];
  for (const probe of probes) {
    const before = findCheck(all, probe.name, phase);
    if (!isDue(before, probe, startMs, visit.nowMs) && !(isLast && before.samples === 0)) continue;
    const value = await visit.valueOf(probe.measure, probe.intervalSeconds * 1_000);
    const index = all.findIndex(({ name, phase: of }) => name === probe.name && of === phase);
    all.splice(index < 0 ? all.length : index, 1, addSample(before, probe, value, visit.nowMs));
  }
  return all;
}

type Sampled = { readonly probe: Probe; readonly check: CheckStatus };

/** The checks of a phase with what is asked of them, as sampled up to now. */
export function sampled({ spec, status }: Visit, phase: LoadPhase): Sampled[] {
  return probesOf(spec, phase).map((probe) => ({ probe, check: findCheck(status.checks, probe.name, phase) }));
}

/** The stop conditions in the same way. */
export function sampledStops({ spec, status }: Visit): Sampled[] {
  return stopProbesOf(spec).map((probe) => ({ probe, check: findCheck(status.stopConditions, probe.name, "During") }));
}

/** A sentence when a check has had no data for so long that nobody sees what goes on. */
export function whyBlind(checks: readonly CheckStatus[]): string | undefined {
  const blind = checks.find(({ consecutiveErrors }) => consecutiveErrors >= MAX_ERRORS);
  return blind && `${blind.name} had no data ${blind.consecutiveErrors} times in a row (${blind.phase})`;
}

/** A sentence about the first check that is beyond what is tolerated. */
export function whyUnsteady(checks: readonly Sampled[]): string | undefined {
  const bad = checks.find(({ probe, check }) => check.consecutiveFailures > probe.tolerated);
  if (bad === undefined) return undefined;
  const { probe, check } = bad;
  const rule = `${probe.isForbidden ? "must not be" : "must be"} ${probe.measure.op} ${probe.measure.thresholdMilli}`;
  return `${probe.name} is ${check.lastMilli} and ${rule}: ${check.consecutiveFailures} times in a row (${check.phase})`;
}
