/** Pending and Baseline: nothing is injected yet, and nothing will be unless all is well. */
import { seeded } from "@ordermesh/mesh/seeded";
import { complete, refuse, whyStop } from "./finish.ts";
import { type Picked, pickTargets } from "./pick-targets.ts";
import { sampleChecks, sampled, whyBlind, whyUnsteady } from "./sampling.ts";
import type { Visit } from "./visit.ts";

/** As often as a visit looks for an abort, and takes samples. */
export const LOOK_EVERY_MS = 1_000;
/** Reason of one that waits for its turn. */
export const QUEUED = "Queued";

/** What would be taken now; the same for the same candidates and round. */
export async function pick(visit: Visit, round: number): Promise<Picked> {
  const { target, seed } = visit.spec;
  const candidates = await visit.ports.backend.find(target.selector.matchLabels);
  const taken = new Set(visit.status.targets.map(({ uid }) => uid));
  const fresh = candidates.filter(({ uid }) => !taken.has(uid));
  return pickTargets(fresh, target, seeded(seed + round - 1));
}

export async function begin(visit: Visit): Promise<number | undefined> {
  const { experiment, spec, ports } = visit;
  const seenMs = visit.status.startTime === undefined ? visit.nowMs : visit.msOf("startTime");
  const lateMs = seenMs - experiment.createdAtMs;
  // The time in the queue is not part of it.
  if (visit.status.reason === QUEUED) await visit.save({ reason: "", message: "", startTime: visit.now });
  await visit.save({ startTime: visit.status.startTime ?? visit.now });
  const stop = await whyStop(visit);
  if (stop !== undefined && stop.reason !== "SafetyLever") return await cancel(visit, stop);
  if (stop !== undefined) return await refuse(visit, "Accepted", "NotAllowed", stop.message);
  if (lateMs > spec.startDeadlineSeconds * 1_000) {
    const message = `it was first seen ${Math.round(lateMs / 1_000)} s after it was made`;
    return await refuse(visit, "Accepted", "StartDeadlineExceeded", message);
  }
  const unable = ports.backend.whyNot(spec.action);
  if (unable !== undefined) return await refuse(visit, "Accepted", "NotSupported", unable);
  const picked = await pick(visit, 1);
  if (picked.kind === "none") return await refuse(visit, "Accepted", "NoTargets", picked.reason);
  const { ratePerSecond, orders } = spec.workload;
  await ports.workload.start({ name: visit.run, ratePerSecond, seed: spec.seed, orders });
  const label = Object.values(spec.target.selector.matchLabels).join(",");
  await visit.save({
    phase: "Baseline",
    startTime: visit.now, // Of the baseline: time that went before it is not part of it.
    target: `${label} ${picked.targets.length}/${picked.ready}`,
    ...visit.conditions({ type: "Accepted", status: "True", reason: "Accepted" }),
  });
  return LOOK_EVERY_MS;
}

export async function watchBaseline(visit: Visit): Promise<number | undefined> {
  const { spec } = visit;
  const stop = await whyStop(visit);
  if (stop !== undefined) return await cancel(visit, stop);
  // A customer's process that was started anew has lost its record, and begins again: the history's end will say so.
  const startMs = visit.msOf("startTime");
  const isOver = visit.nowMs >= startMs + spec.baselineSeconds * 1_000;
  await sampleChecks(visit, "Before", startMs, isOver);
  const blind = whyBlind(visit.status.checks);
  if (blind !== undefined) return await refuse(visit, "BaselineMet", "ProbeError", blind);
  if (!isOver) return LOOK_EVERY_MS;
  return await afterBaseline(visit, startMs);
}

async function afterBaseline(visit: Visit, fromMs: number): Promise<number | undefined> {
  const { spec } = visit;
  const before = await visit.accepted({ fromMs, toMs: visit.nowMs });
  await visit.save({ accepted: { ...visit.status.accepted, before } });
  const unsteady = whyUnsteady(sampled(visit, "Before"));
  if (unsteady !== undefined) return await refuse(visit, "BaselineMet", "BaselineNotMet", unsteady);
  if (before < spec.workload.minAccepted) {
    const message = `${before} of ${spec.workload.minAccepted} orders were accepted before the fault`;
    return await refuse(visit, "BaselineMet", "TooLittleTraffic", message);
  }
  const met = visit.conditions({ type: "BaselineMet", status: "True", reason: "SteadyBefore" });
  if (spec.dryRun) return await endDryRun(visit, met);
  await visit.save({ phase: "Injecting", injectStartTime: visit.now, ...met });
  return 0;
}

async function endDryRun(visit: Visit, met: ReturnType<Visit["conditions"]>): Promise<undefined> {
  const picked = await pick(visit, 1);
  const names = picked.kind === "picked" ? picked.targets.map(({ name }) => name).join(", ") : picked.reason;
  await visit.save({ ...met, message: `would do ${visit.spec.action.type} to ${names}` });
  return await complete(visit);
}

async function cancel(visit: Visit, stop: NonNullable<Awaited<ReturnType<typeof whyStop>>>): Promise<undefined> {
  await visit.save({ stop });
  return await complete(visit);
}
