/** Runs a schedule of faults on one system and judges what became of the orders: the whole, and not each fault by itself. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { EXPIRES_AFTER_MS, type Experiment, type InjectContext } from "@ordermesh/chaos/backend";
import type { Outcome } from "@ordermesh/chaos/fuzz";
import { pickTargets } from "@ordermesh/chaos/pick-targets";
import { roundsOf } from "@ordermesh/chaos/rounds";
import { endOf, type Schedule, type Step } from "@ordermesh/chaos/schedule";
import type { TargetStatus } from "@ordermesh/chaos/status";
import type { Finding } from "@ordermesh/judge/finding";
import { seeded } from "@ordermesh/mesh/seeded";
import type { ChaosSystem } from "./chaos-system.ts";
import { judgedLoad } from "./judged-load.ts";

/** Orders that flow before the first fault and after the last one. */
const CALM_MS = 3_000;
const POLL_MS = 500;
const HEAL_TIMEOUT_MS = 60_000;

export type RunScheduleOptions = { readonly say: (line: string) => void; readonly signal: AbortSignal };

/** What the judge found wrong, and what it could not look at. @throws Error when the system cannot be judged */
export async function runSchedule(
  { ports }: ChaosSystem,
  { steps, ...load }: Schedule,
  { say, signal }: RunScheduleOptions,
): Promise<Outcome> {
  const { findings } = await judgedLoad(ports, load, async () => {
    await sleep(CALM_MS);
    const startMs = performance.now();
    await Promise.all(steps.map((step) => runStep(ports, step, { startMs, say, signal })));
    await sleep(CALM_MS);
  });
  const named = (held: Finding["held"]) => findings.filter((one) => one.held === held).map(({ name }) => name);
  return { broken: named("False"), unknown: named("Unknown") };
}

/** What cannot be run in a schedule, and why it is left out: customers' own faults go with one experiment's customers. */
export function canBeScheduled({ ports }: ChaosSystem, { spec: { action } }: Experiment): boolean {
  return ports.backend.whyNot(action) === undefined && action.type !== "LoadSpike" && action.type !== "RepeatedKey";
}

/** `startMs`: the beginning of the schedule, by `performance.now()`. */
export type StepOptions = RunScheduleOptions & { readonly startMs: number };

/** Every round of the fault, then its heal; nothing of it is left when this resolves. @throws Error for a fault that does not go */
export async function runStep(
  { backend, clock }: ChaosSystem["ports"],
  step: Step,
  { startMs, say, signal }: StepOptions,
): Promise<void> {
  const { spec, name, namespace } = step.experiment;
  const until = async (atSeconds: number) => {
    const waitMs = startMs + atSeconds * 1_000 - performance.now();
    if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => undefined);
  };
  await until(step.atSeconds);
  if (signal.aborted) return;
  const expiresAtMs = clock.wallMs() + spec.durationSeconds * 1_000 + EXPIRES_AFTER_MS;
  const context: InjectContext = { experiment: { name, namespace, uid: randomUUID() }, spec, expiresAtMs };
  await backend.watchFault(context);
  const targets: TargetStatus[] = [];
  const { times, everySeconds } = roundsOf(spec.action);
  for (let round = 1; round <= times && !signal.aborted; round += 1) {
    await until(step.atSeconds + (round - 1) * everySeconds);
    for (const target of await targetsOf(backend, step.experiment, round, targets)) {
      targets.push(target);
      await backend.inject(target, context).catch((error: unknown) => say(`${name}: ${String(error)}`));
    }
  }
  say(`${name}: ${targets.map((target) => target.name).join(" ") || "nothing could be taken"}`);
  await until(endOf(step));
  // Some faults only come to their end when they are looked at.
  await backend.evidence(targets, context).catch((error: unknown) => say(`${name}: ${String(error)}`));
  await healAll(backend, targets, context);
  backend.forget(context.experiment.uid);
}

async function targetsOf(
  backend: ChaosSystem["ports"]["backend"],
  { spec }: Experiment,
  round: number,
  before: readonly TargetStatus[],
): Promise<TargetStatus[]> {
  const again = before.filter((target) => target.round === 1);
  if (round > 1 && spec.action.type !== "PodKill") return again.map((target) => ({ ...target, round }));
  const candidates = await backend.find(spec.target.selector.matchLabels);
  const picked = pickTargets(candidates, spec.target, seeded(spec.seed + round - 1));
  if (picked.kind === "none") return [];
  const injectedAt = new Date().toISOString();
  return picked.targets.map(({ kind, name, uid, node }) => {
    return { kind, name, uid, node, round, state: "Injected", injectedAt, undo: "none" };
  });
}

/** @throws Error for a fault that does not go */
async function healAll(
  backend: ChaosSystem["ports"]["backend"],
  targets: readonly TargetStatus[],
  context: InjectContext,
): Promise<void> {
  const endsMs = performance.now() + HEAL_TIMEOUT_MS;
  for (const target of targets.toReversed())
    for (;;) {
      const isHealed = await backend
        .heal(target, context)
        .then(() => backend.isHealed(target, context))
        .catch(() => false);
      if (isHealed) break;
      if (performance.now() > endsMs) throw new Error(`${context.experiment.name} of ${target.name} does not heal`);
      await sleep(POLL_MS);
    }
  await backend.sweep(context.experiment.uid);
}
