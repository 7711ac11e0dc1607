/** Processes die, fail or wait at a named point of their code, as they were asked to on their admin ports. */
import type { ActionOf } from "@ordermesh/chaos/action";
import { jsonOf, put } from "@ordermesh/chaos/admin-ports";
import type { InjectContext } from "@ordermesh/chaos/backend";
import { failpointOf } from "@ordermesh/chaos/crash-spec";
import type { Fault } from "@ordermesh/chaos/fault";
import type { TargetStatus } from "@ordermesh/chaos/status";
import type { Pod, Pods } from "./pods.ts";

const PATH = "/debug/failpoints";
const KILLED = 137;

/** How often the containers had been started again when the target was chosen. */
type Undo = { readonly restarts: number };
/** What is known of a process that was armed. */
type Armed = { readonly restarts: number; readonly passed: number };

export function crashPoint(pods: Pods): Fault<Pod> {
  /** By target. A process that was started anew arms once more than it would have. */
  const armed = new Map<string, Armed>();

  /** Anew when the process is another one, as it forgets with its life. */
  async function arm(pod: Pod, point: ActionOf<"CrashPoint">, left: number): Promise<void> {
    if (pod.adminUrl === undefined || left < 1 || armed.get(pod.uid)?.restarts === pod.restarts) return;
    const passed = (await jsonOf<Record<string, number>>(pod.adminUrl, PATH))?.[point.point] ?? 0;
    await put(pod.adminUrl, PATH, failpointOf(point, point.effect === "kill" ? 1 : left));
    armed.set(pod.uid, { restarts: pod.restarts, passed });
  }

  /** How often the point has acted in the pod's process. */
  async function actsOf(target: TargetStatus, pod: Pod, point: ActionOf<"CrashPoint">): Promise<number> {
    if (point.effect === "kill") return pod.exitCodes.includes(KILLED) ? pod.restarts - undoOf(target).restarts : 0;
    const before = armed.get(pod.uid);
    const passed = (await jsonOf<Record<string, number>>(pod.adminUrl ?? "", PATH))?.[point.point] ?? 0;
    return before === undefined ? 0 : Math.min(point.times, passed - before.passed);
  }

  return {
    planUndo: (target, _context, found) =>
      JSON.stringify({ restarts: found.find(({ uid }) => uid === target.uid)?.restarts ?? 0 } satisfies Undo),
    inject: async (target, context) => {
      const pod = await pods.find(target, context);
      const point = pointOf(context);
      if (pod !== undefined) await arm(pod, point, point.times - (await actsOf(target, pod, point)));
    },
    heal: async (target, context) => {
      armed.delete(target.uid);
      const pod = await pods.find(target, context);
      if (pod?.adminUrl !== undefined) await put(pod.adminUrl, PATH, "");
    },
    isHealed: async (target, context) => {
      const pod = await pods.find(target, context);
      return pod === undefined || pod.isReady;
    },
    evidence: async (targets, context) => {
      const point = pointOf(context);
      let observed = 0;
      for (const target of targets) {
        const pod = await pods.find(target, context);
        if (pod === undefined) continue;
        const acts = await actsOf(target, pod, point);
        observed += Math.max(0, Math.min(acts, point.times));
        // A process that is just being started again is asked by the next look.
        if (target.state === "Injected") await arm(pod, point, point.times - acts).catch(() => undefined);
      }
      const expected = targets.length * point.times;
      return { expected, observed, detail: `${point.point} acted ${observed} times (${point.effect})` };
    },
  };
}

function pointOf({ spec: { action } }: InjectContext): ActionOf<"CrashPoint"> {
  if (action.type !== "CrashPoint") throw new RangeError(`${action.type} is no CrashPoint`);
  return action.crashPoint;
}

function undoOf({ undo }: TargetStatus): Undo {
  return JSON.parse(undo);
}
