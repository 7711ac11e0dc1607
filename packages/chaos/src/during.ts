/** Injecting and Running: the fault is put in, seen to bite, and watched. */
import { StaleStatusError } from "./backend.ts";
import { LOOK_EVERY_MS, pick } from "./before.ts";
import { conditionOf, MAX_SENTENCE } from "./condition.ts";
import { refuse, toHealing, whyStop } from "./finish.ts";
import { nextRoundAtMs, roundsMade, roundsOf } from "./rounds.ts";
import { sampleChecks, sampled, sampledStops, sampleStopConditions, whyBlind, whyUnsteady } from "./sampling.ts";
import type { FaultEvidence, Stop, TargetStatus } from "./status.ts";
import { MAX_TARGETS } from "./status-schema.ts";
import type { Visit } from "./visit.ts";

export async function hold(visit: Visit): Promise<number | undefined> {
  const stop = await whyStop(visit);
  if (stop !== undefined) return await toHealing(visit, stop);
  const startMs = visit.msOf("injectStartTime");
  const endMs = startMs + visit.spec.durationSeconds * 1_000;
  await visit.ports.backend.watchFault(visit.context);
  if (visit.nowMs < endMs) await planRound(visit, startMs);
  if (visit.status.targets.length === 0) {
    const message = "nothing could be taken any more when the fault was due";
    return await refuse(visit, "Injected", "NoTargets", message);
  }
  if (visit.nowMs < endMs) await injectPlanned(visit);
  await look(visit);
  const unsafe = await watchSteadyState(visit, startMs);
  if (unsafe !== undefined) return await toHealing(visit, unsafe);
  if (visit.nowMs < endMs) return Math.min(LOOK_EVERY_MS, endMs - visit.nowMs);
  await sumUp(visit);
  return await toHealing(visit);
}

/** Stores what the round that is due will take, before anything is done to it. */
async function planRound(visit: Visit, startMs: number): Promise<void> {
  const { status, spec, ports } = visit;
  const dueMs = nextRoundAtMs(spec.action, status, startMs);
  const isBusy = status.targets.some(({ state }) => state === "Planned");
  if (dueMs === undefined || isBusy || visit.nowMs < dueMs) return;
  const round = roundsMade(status) + 1;
  const planned = (await targetsOf(visit, round)).slice(0, MAX_TARGETS - status.targets.length);
  const targets = planned.map((target): TargetStatus => {
    const candidate = { ...target, isReady: true, isProtected: false };
    return { ...target, undo: ports.backend.planUndo(candidate, visit.context) };
  });
  await visit.save({ targets: [...status.targets, ...targets] });
}

/** Pods that are killed are new ones in every round; everything else is done to the same again. */
async function targetsOf(visit: Visit, round: number): Promise<Omit<TargetStatus, "undo">[]> {
  const { status, spec } = visit;
  if (round > 1 && spec.action.type !== "PodKill")
    return status.targets
      .filter((target) => target.round === 1)
      .map(({ kind, name, uid, node }) => ({ kind, name, uid, node, round, state: "Planned" }));
  const picked = await pick(visit, round);
  if (picked.kind === "none") return []; // The next visit tries again, as long as the fault lasts.
  return picked.targets.map(({ kind, name, uid, node }) => ({ kind, name, uid, node, round, state: "Planned" }));
}

/**
 * A target that is `Planned` from an earlier visit may have been injected by it: the back end does nothing then.
 * What fails stays planned, and the next visit tries again.
 */
async function injectPlanned(visit: Visit): Promise<void> {
  const { backend } = visit.ports;
  for (const target of visit.status.targets.filter(({ state }) => state === "Planned")) {
    if ((await backend.whyNotNow()) !== undefined) return; // The next visit finds the same, and stops.
    try {
      await backend.inject(target, visit.context);
    } catch (error) {
      const message = `${target.name}: ${error instanceof Error ? error.message : String(error)}`;
      await visit.save(visit.conditions({ type: "Injected", status: "False", reason: "InjectFailed", message }));
      return;
    }
    await saveInjected(visit, target);
  }
  if (visit.status.targets.length === 0) return;
  const injected = visit.conditions({ type: "Injected", status: "True", reason: "Injected" });
  await visit.save({ phase: "Running", ...injected });
}

async function saveInjected(visit: Visit, target: TargetStatus): Promise<void> {
  try {
    await visit.save(visit.targets(target, { state: "Injected", injectedAt: visit.now }));
  } catch (error) {
    if (error instanceof StaleStatusError) await undoLate(visit);
    throw error;
  }
}

/** Somebody else goes on with the experiment. Should it be past the fault already, what we have just put in must go. */
async function undoLate(visit: Visit): Promise<void> {
  const stored = await visit.ports.store.load();
  if (stored !== undefined && (stored.phase === "Injecting" || stored.phase === "Running")) return;
  for (const target of visit.status.targets) await visit.ports.backend.heal(target, visit.context);
  await visit.ports.backend.sweep(visit.experiment.uid);
}

/** Looks whether the fault bites. What was once observed stays so, although a process that was restarted began to count anew. */
export async function look(visit: Visit): Promise<void> {
  const { backend } = visit.ports;
  const seen = await backend
    .evidence(visit.status.targets, visit.context)
    .catch(
      (error: unknown): FaultEvidence => ({ expected: 0, observed: 0, detail: String(error).slice(0, MAX_SENTENCE) }),
    );
  const before = visit.status.faultEvidence;
  const isNews = before === undefined || seen.observed > before.observed || seen.expected > before.expected;
  if (isNews) await visit.save({ faultEvidence: seen });
}

async function watchSteadyState(visit: Visit, startMs: number): Promise<Stop | undefined> {
  await sampleChecks(visit, "During", startMs);
  await sampleStopConditions(visit, startMs);
  const during = visit.status.checks.filter(({ phase }) => phase === "During");
  const blind = whyBlind([...during, ...visit.status.stopConditions]);
  if (blind !== undefined) return { reason: "LostSight", message: blind };
  const unsteady = whyUnsteady(sampled(visit, "During"));
  if (unsteady !== undefined) {
    const falsified = { type: "SteadyDuringFault", status: "False", reason: "HypothesisFalsified" } as const;
    await visit.save(visit.conditions({ ...falsified, message: unsteady }));
  }
  const met = whyUnsteady(sampledStops(visit));
  return met === undefined ? undefined : { reason: "StopCondition", message: met };
}

/** The time of the fault is over: all rounds made? steady all the time? */
async function sumUp(visit: Visit): Promise<void> {
  const { status, spec } = visit;
  await sampleChecks(visit, "During", visit.msOf("injectStartTime"), true);
  const { times } = roundsOf(spec.action);
  const acted = status.targets.filter(({ state }) => state !== "Planned");
  const made = new Set(acted.map(({ round }) => round)).size;
  if (conditionOf(status, "Injected").reason === "InjectFailed") return;
  const message = `${made} of ${times} rounds could be made, on ${acted.length} of ${status.targets.length} targets`;
  // A visit may have ended between the last act and its condition.
  const isWhole = made >= times && acted.length === status.targets.length;
  const injected = isWhole
    ? visit.conditions({ type: "Injected", status: "True", reason: "Injected" })
    : visit.conditions({ type: "Injected", status: "False", reason: "TooFewTargets", message });
  await visit.save(injected);
}
