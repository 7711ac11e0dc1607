/** Healing, Recovering and Judging: the fault is undone whatever happens, all is well again or not, and the ledgers are read. */
import type { Finding } from "@ordermesh/judge/finding";
import { StaleStatusError } from "./backend.ts";
import { LOOK_EVERY_MS } from "./before.ts";
import { conditionOf, MAX_SENTENCE } from "./condition.ts";
import { look } from "./during.ts";
import { complete, isPastDeadline } from "./finish.ts";
import { sampleChecks, sampled, whyBlind } from "./sampling.ts";
import type { InvariantStatus, TargetStatus } from "./status.ts";
import { MAX_OPEN } from "./status-schema.ts";
import type { Visit } from "./visit.ts";

/** All checks must hold for so long before the system counts as recovered. */
const STEADY_MS = 10_000;
/** What is on its way and does not change for so long does not move any more. */
const STUCK_MS = 15_000;
/** A violation of these is one at any time; of the others only when nothing is on its way. */
const ANY_TIME: ReadonlySet<string> = new Set(["NoOrderLost", "NoDoubleCharge", "IdempotentReplies", "ReadYourOrder"]);

/** Undoes in reverse order, and looks whether it is undone. Tries for ever. */
export async function heal(visit: Visit): Promise<number | undefined> {
  const open = await healTargets(visit);
  const left = open === undefined ? await sweep(visit) : undefined;
  const problem = open ?? left;
  if (problem !== undefined) {
    const isLate = visit.nowMs > visit.msOf("healStartTime") + visit.spec.recoverySeconds * 1_000;
    const failed = visit.conditions({ type: "Healed", status: "False", reason: "HealFailed", message: problem });
    if (isLate) await visit.save({ phase: "HealFailed", ...failed });
    return LOOK_EVERY_MS;
  }
  await look(visit);
  await visit.save({
    phase: "Recovering",
    healedTime: visit.now,
    ...visit.conditions({ type: "Healed", status: "True", reason: "Healed" }, observed(visit), steady(visit)),
  });
  return visit.experiment.isBeingDeleted ? await stopNow(visit) : 0;
}

/** A sentence about the first target that is not healed yet. */
async function healTargets(visit: Visit): Promise<string | undefined> {
  const { backend } = visit.ports;
  let problem: string | undefined;
  for (const target of visit.status.targets.toReversed()) {
    if (target.state === "Healed") continue;
    const isHealed = await healOne(visit, target).catch((error: unknown) => String(error));
    if (isHealed === true) {
      const wasInjected = target.state === "Injected";
      await visit.save(visit.targets(target, { state: "Healed", ...(wasInjected ? { healedAt: visit.now } : {}) }));
    } else
      problem ??= `${target.name}: ${isHealed === false ? `not healed yet by the back end ${backend.name}` : isHealed}`;
  }
  return problem;
}

async function healOne(visit: Visit, target: TargetStatus): Promise<boolean> {
  const { backend } = visit.ports;
  await backend.heal(target, visit.context);
  return await backend.isHealed(target, visit.context);
}

/** The second way to find what must go: by its label. */
async function sweep(visit: Visit): Promise<string | undefined> {
  try {
    const found = await visit.ports.backend.sweep(visit.experiment.uid);
    return found === 0 ? undefined : `${found} things of the experiment were still there`;
  } catch (error) {
    return String(error);
  }
}

function observed({ status }: Visit) {
  const { expected = 0, observed: seen = 0, detail = "nothing was looked at" } = status.faultEvidence ?? {};
  const isSeen = expected > 0 && seen >= expected;
  const message = `${seen} of ${expected}: ${detail}`;
  return isSeen
    ? ({ type: "FaultObserved", status: "True", reason: "FaultObserved", message } as const)
    : ({ type: "FaultObserved", status: "False", reason: "FaultNotObserved", message } as const);
}

/** What was False once stays so. */
function steady({ status }: Visit) {
  const { status: is, reason, message } = conditionOf(status, "SteadyDuringFault");
  if (is === "False") return { type: "SteadyDuringFault", status: is, reason, message } as const;
  if (status.stop !== undefined) return { type: "SteadyDuringFault", status: "Unknown", reason: "Stopped" } as const;
  return { type: "SteadyDuringFault", status: "True", reason: "SteadyDuringFault" } as const;
}

export async function recover(visit: Visit): Promise<number | undefined> {
  const { experiment, spec, status } = visit;
  if (experiment.isBeingDeleted) return await stopNow(visit);
  const healedMs = visit.msOf("healedTime");
  await sampleChecks(visit, "After", healedMs);
  const after = await visit.accepted({ fromMs: healedMs, toMs: visit.nowMs });
  await visit.save({ accepted: { ...status.accepted, after } });
  const isSteady = isSteadyAgain(visit, healedMs);
  const isEnough = after >= spec.workload.minAccepted;
  // What became steady just in time is still watched for as long as it must hold.
  const limitMs = visit.msOf("healStartTime") + spec.recoverySeconds * 1_000 + STEADY_MS;
  const isOver = visit.nowMs >= limitMs || isPastDeadline(visit);
  if (!(isSteady && isEnough) && !isOver && !spec.abort) return LOOK_EVERY_MS;
  await visit.save({
    phase: "Judging",
    judgeStartTime: visit.now,
    ...(isSteady ? { timeToRecoverSeconds: timeToRecover(visit) } : {}),
    ...(spec.abort && status.stop === undefined ? { stop: { reason: "Abort", message: "spec.abort was set" } } : {}),
    ...visit.conditions(recovery(visit, isSteady)),
  });
  return 0;
}

function isSteadyAgain(visit: Visit, healedMs: number): boolean {
  return sampled(visit, "After").every(({ check }) => {
    const sinceMs = check.lastFailedAt === null ? healedMs : Date.parse(check.lastFailedAt);
    return check.samples > 0 && check.consecutiveErrors === 0 && visit.nowMs - sinceMs >= STEADY_MS;
  });
}

function timeToRecover(visit: Visit): number {
  const fromMs = visit.msOf("healStartTime");
  const untilMs = sampled(visit, "After").flatMap(({ check }) =>
    check.lastFailedAt === null ? [] : [Date.parse(check.lastFailedAt)],
  );
  return Math.ceil((Math.max(visit.msOf("healedTime"), ...untilMs) - fromMs) / 1_000);
}

function recovery(visit: Visit, isSteady: boolean) {
  if (isSteady) return { type: "Recovered", status: "True", reason: "Recovered" } as const;
  const checks = sampled(visit, "After").map(({ check }) => check);
  const blind =
    whyBlind(checks) ?? (checks.some(({ samples }) => samples === 0) ? "a check was never sampled" : undefined);
  if (blind !== undefined)
    return { type: "Recovered", status: "Unknown", reason: "ProbeError", message: blind } as const;
  if (visit.spec.abort || isPastDeadline(visit))
    return {
      type: "Recovered",
      status: "Unknown",
      reason: "Stopped",
      message: "stopped before it was steady",
    } as const;
  const bad = checks.toSorted((a, b) => Date.parse(b.lastFailedAt ?? "0") - Date.parse(a.lastFailedAt ?? "0"))[0];
  const message = `${bad?.name} was ${bad?.lastMilli} at last, ${visit.spec.recoverySeconds} s after the heal began`;
  return { type: "Recovered", status: "False", reason: "NotRecovered", message } as const;
}

async function stopNow(visit: Visit): Promise<undefined> {
  const stop = visit.status.stop ?? { reason: "Deleted" as const, message: "the experiment was deleted" };
  await visit.save({ stop });
  return await complete(visit);
}

/** Waits until nothing is on its way, or nothing moves any more, or there is no time left; then the ledgers decide. */
export async function judgeAll(visit: Visit): Promise<number | undefined> {
  if (visit.experiment.isBeingDeleted) return await stopNow(visit);
  const open = (await whatIsOpen(visit)).slice(0, MAX_OPEN);
  const isNews = JSON.stringify(open) !== JSON.stringify(visit.status.drain?.open);
  if (isNews) await visit.save({ drain: { open, sinceTime: visit.now } });
  const sinceMs = Date.parse(visit.status.drain?.sinceTime ?? visit.now);
  const limitMs = visit.msOf("judgeStartTime") + visit.spec.recoverySeconds * 1_000;
  const isStuck = visit.nowMs >= limitMs && visit.nowMs - sinceMs >= STUCK_MS;
  if (open.length > 0 && !isStuck && !isPastDeadline(visit)) return LOOK_EVERY_MS;
  return await judgeNow(visit, open, open.length === 0 || isStuck);
}

async function whatIsOpen(visit: Visit): Promise<readonly string[]> {
  const { workload, judge } = visit.ports;
  try {
    await workload.finish(visit.run);
    return await judge.open(visit.msOf("startTime"));
  } catch (error) {
    return [String(error).slice(0, MAX_SENTENCE)];
  }
}

async function judgeNow(visit: Visit, open: readonly string[], isAtRest: boolean): Promise<number | undefined> {
  const { workload, judge } = visit.ports;
  try {
    const history = await workload.history(visit.run);
    if (history === undefined) return await withoutJudgement(visit, "HistoryLost", "the customers' record is lost");
    const findings = await judge.judge(history, visit.msOf("startTime"));
    const invariants = visit.spec.invariants.map((name) => toInvariant(name, findings, isAtRest));
    await visit.save({ invariants, ...visit.conditions(held(invariants, open)) });
  } catch (error) {
    if (error instanceof StaleStatusError || !isPastDeadline(visit)) throw error;
    return await withoutJudgement(visit, "JudgeFailed", String(error));
  }
  return await complete(visit);
}

async function withoutJudgement(visit: Visit, reason: string, message: string): Promise<undefined> {
  await visit.save(visit.conditions({ type: "InvariantsHeld", status: "Unknown", reason, message }));
  return await complete(visit);
}

function toInvariant(name: string, findings: readonly Finding[], isAtRest: boolean): InvariantStatus {
  const finding = findings.find((found) => found.name === name);
  if (finding === undefined) return { name, held: "Unknown", examined: 0, violations: 0, examples: [] };
  const { examined, violations } = finding;
  const isKnown = (isAtRest || ANY_TIME.has(name)) && (examined > 0 || violations > 0);
  const examples = finding.examples.map((example) => example.slice(0, MAX_SENTENCE));
  return { name, held: isKnown ? finding.held : "Unknown", examined, violations, examples };
}

function held(invariants: readonly InvariantStatus[], open: readonly string[]) {
  const names = (value: InvariantStatus["held"]) =>
    invariants.filter((invariant) => invariant.held === value).map(({ name }) => name);
  const violated = names("False");
  if (violated.length > 0)
    return { type: "InvariantsHeld", status: "False", reason: "Violated", message: violated.join(", ") } as const;
  if (open.length > 0)
    return { type: "InvariantsHeld", status: "Unknown", reason: "NotDrained", message: open.join(", ") } as const;
  const unknown = names("Unknown");
  if (unknown.length === 0) return { type: "InvariantsHeld", status: "True", reason: "Held" } as const;
  const message = `nothing to look at for ${unknown.join(", ")}`;
  return { type: "InvariantsHeld", status: "Unknown", reason: "NotExamined", message } as const;
}
