/** The two ways out: an end with a verdict, and the way to it through the heal. */
import { MAX_SENTENCE } from "./condition.ts";
import { makeReport } from "./report.ts";
import type { ExperimentStatus, Stop } from "./status.ts";
import { decide } from "./verdict.ts";
import type { Visit } from "./visit.ts";

/** Stores the verdict. Nothing of the fault may be left. */
export async function complete(visit: Visit): Promise<undefined> {
  const { backend, workload } = visit.ports;
  await workload.finish(visit.run).catch(() => undefined); // Customers that cannot be reached do not hold an experiment up.
  const { verdict, reason, message: whole } = decide(visit.spec, visit.status);
  const message = whole.slice(0, MAX_SENTENCE);
  const end = {
    phase: visit.status.stop === undefined ? "Completed" : "Aborted",
    verdict,
    reason,
    message,
    completionTime: visit.now,
    ...visit.conditions({ type: "Complete", status: "True", reason, message }),
  } as const;
  await visit.save({ ...end, ...(await keepReport(visit, { ...visit.status, ...end })) });
  backend.forget(visit.experiment.uid);
  return undefined;
}

/** A report that cannot be made or kept does not hold the verdict up; the status has no reference then. */
async function keepReport(visit: Visit, status: ExperimentStatus): Promise<Pick<ExperimentStatus, "reportRef">> {
  const { reports, workload } = visit.ports;
  if (reports === undefined) return {};
  try {
    const interval = { fromMs: visit.msOf("startTime"), toMs: visit.nowMs };
    const seconds = await workload.seconds(visit.run, interval).catch(() => undefined);
    const reportRef = await reports.keep(makeReport({ experiment: visit.experiment, status, seconds }));
    return reportRef === undefined ? {} : { reportRef };
  } catch {
    return {};
  }
}

/** Ends an experiment that has injected nothing. */
export async function refuse(
  visit: Visit,
  type: "Accepted" | "BaselineMet" | "Injected",
  reason: string,
  message: string,
): Promise<undefined> {
  await visit.save(visit.conditions({ type, status: "False", reason, message }));
  return await complete(visit);
}

/** Leaves the fault; `stop` when it is before its time. */
export async function toHealing(visit: Visit, stop?: Stop): Promise<number> {
  const fromMs = visit.msOf("injectStartTime");
  const during = await visit.accepted({ fromMs, toMs: visit.nowMs });
  await visit.save({
    phase: "Healing",
    healStartTime: visit.now,
    accepted: { ...visit.status.accepted, during },
    ...(stop === undefined ? {} : { stop }),
  });
  return 0;
}

/** What somebody else has decided: the user, an operator, the clock. */
export async function whyStop(visit: Visit): Promise<Stop | undefined> {
  const { experiment, spec } = visit;
  if (experiment.isBeingDeleted) return { reason: "Deleted", message: "the experiment was deleted" };
  if (spec.abort) return { reason: "Abort", message: "spec.abort was set" };
  if (isPastDeadline(visit)) return { reason: "Deadline", message: `it took longer than ${spec.deadlineSeconds} s` };
  const sentence = await visit.ports.backend.whyNotNow();
  return sentence === undefined ? undefined : { reason: "SafetyLever", message: sentence };
}

export function isPastDeadline(visit: Visit): boolean {
  return visit.nowMs > visit.msOf("startTime") + visit.spec.deadlineSeconds * 1_000;
}
