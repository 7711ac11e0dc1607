/** Processes stand still, or get little time, as they were asked to on their admin ports; they go on by themselves. */

import { jsonOf, put } from "@ordermesh/chaos/admin-ports";
import { EXPIRES_AFTER_MS, type InjectContext } from "@ordermesh/chaos/backend";
import type { Fault } from "@ordermesh/chaos/fault";
import type { TargetStatus } from "@ordermesh/chaos/status";
import type { Pods } from "./pods.ts";

const PATH = "/debug/stall";
const SILENT_MS = 1_000;
/** A process that answers so late gets little time. */
const LATE_MS = 40;
/** So many looks in a row must show it. */
const LOOKS = 2;

export function stallFault(pods: Pods): Fault {
  /** By experiment and target: how many looks in a row showed it, and whether enough did once. */
  const looks = new Map<string, Map<string, number>>();
  return {
    planUndo: (_target, { expiresAtMs }) => `ends by itself at ${new Date(expiresAtMs).toISOString()}`,
    inject: async (target, context) => {
      const pod = await pods.find(target, context);
      if (pod?.adminUrl === undefined) throw new Error(`${target.name} has no admin port`);
      // One that stands still already does not answer: it was asked before.
      const isThere = (await jsonOf(pod.adminUrl, PATH)) !== undefined;
      const forMs = Math.max(0, context.expiresAtMs - EXPIRES_AFTER_MS - Date.now());
      if (isThere) await put(pod.adminUrl, PATH, JSON.stringify({ forMs, share: shareOf(context) }));
    },
    heal: async (target, context) => {
      const pod = await pods.find(target, context);
      if (pod?.adminUrl !== undefined) await put(pod.adminUrl, PATH, JSON.stringify({ forMs: 0, share: 1 }));
    },
    isHealed: async (target, context) => {
      const pod = await pods.find(target, context);
      return pod === undefined || (await jsonOf(pod.adminUrl ?? "", PATH)) !== undefined;
    },
    evidence: async (targets, context) => {
      const own = looks.get(context.experiment.uid) ?? new Map<string, number>();
      looks.set(context.experiment.uid, own);
      const isWhole = shareOf(context) === 1;
      const looksAt = ({ uid }: TargetStatus) => own.get(uid) ?? 0;
      for (const target of targets.filter((one) => one.state === "Injected" && looksAt(one) < LOOKS)) {
        const tookMs = await answerMs((await pods.find(target, context))?.adminUrl);
        own.set(target.uid, tookMs >= (isWhole ? SILENT_MS : LATE_MS) ? looksAt(target) + 1 : 0);
      }
      const observed = targets.filter((target) => looksAt(target) >= LOOKS).length;
      const how = isWhole ? `no answer within ${SILENT_MS} ms` : `answers after ${LATE_MS} ms and later`;
      return { expected: targets.length, observed, detail: `${observed} of ${targets.length} processes: ${how}` };
    },
    forget: (uid) => void looks.delete(uid),
  };
}

/** How long a process takes to answer: for ever if it did not in SILENT_MS, no time if it is not there. */
async function answerMs(adminUrl: string | undefined): Promise<number> {
  if (adminUrl === undefined) return 0;
  const beganMs = performance.now();
  const answer = await fetch(`${adminUrl}/healthz`, { signal: AbortSignal.timeout(SILENT_MS) }).catch(
    (error: unknown) => error,
  );
  if (!(answer instanceof Error)) return performance.now() - beganMs;
  // A timer may fire a little before its time, so the wait itself proves nothing.
  return answer.name === "TimeoutError" ? Number.POSITIVE_INFINITY : 0;
}

function shareOf({ spec: { action } }: InjectContext): number {
  if (action.type === "Freeze") return 1;
  if (action.type === "Starve") return 1 - action.starve.cpuPercent / 100;
  throw new RangeError(`${action.type} lets nothing stand still`);
}
