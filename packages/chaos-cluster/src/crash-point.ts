/** Processes die, fail or wait at a named point of their code, as they were asked to on their admin ports; so many times in all. */
import { type ActionOf, parametersOf } from "@ordermesh/chaos/action";
import { jsonOf, put } from "@ordermesh/chaos/admin-ports";
import type { InjectContext } from "@ordermesh/chaos/backend";
import { failpointOf } from "@ordermesh/chaos/crash-spec";
import type { Fault } from "@ordermesh/chaos/fault";
import type { TargetStatus } from "@ordermesh/chaos/status";
import type { Pod, Pods } from "./pods.ts";

const PATH = "/debug/failpoints";
const KILLED = 137;
/** Effects that end the process, and how it ends of them: out of memory, by the container's limit or by V8's. */
const ENDS: Readonly<Partial<Record<ActionOf<"CrashPoint">["effect"], (exitCode: number) => boolean>>> = {
  kill: (exitCode) => exitCode === KILLED,
  exhaust: (exitCode) => exitCode !== 0,
};

/** How often the containers had been started again when the target was chosen. */
type Undo = { readonly restarts: number };
/** What is known of a process that was armed. */
type Armed = { readonly restarts: number; readonly passed: number; readonly times: number; readonly isOver?: boolean };

export function crashPoint(pods: Pods): Fault<Pod> {
  /** By target. A process that was started anew arms once more than it would have. */
  const armed = new Map<string, Armed>();

  /** Anew when the process is another one, as it forgets with its life. */
  async function arm(pod: Pod, point: ActionOf<"CrashPoint">, left: number): Promise<void> {
    if (pod.adminUrl === undefined || left < 1 || armed.get(pod.uid)?.restarts === pod.restarts) return;
    const passed = (await jsonOf<Record<string, number>>(pod.adminUrl, PATH))?.[point.point] ?? 0;
    const times = ENDS[point.effect] === undefined ? left : 1;
    await put(pod.adminUrl, PATH, failpointOf(point, times));
    armed.set(pod.uid, { restarts: pod.restarts, passed, times });
  }

  /** Nothing is left to do when it has acted as often as it was asked to, here or in another pod. */
  async function armFor(pod: Pod, point: ActionOf<"CrashPoint">, left: number): Promise<void> {
    if (left > 0) return await arm(pod, point, left);
    const own = armed.get(pod.uid);
    if (pod.adminUrl === undefined || own === undefined || own.isOver || own.restarts !== pod.restarts) return;
    await put(pod.adminUrl, PATH, "");
    armed.set(pod.uid, { ...own, isOver: true });
  }

  /** How often the point has acted in the pod's process. */
  async function actsOf(target: TargetStatus, pod: Pod, point: ActionOf<"CrashPoint">): Promise<number> {
    const isEnd = ENDS[point.effect];
    if (isEnd !== undefined) return pod.exitCodes.some(isEnd) ? pod.restarts - undoOf(target).restarts : 0;
    const before = armed.get(pod.uid);
    const passed = (await jsonOf<Record<string, number>>(pod.adminUrl ?? "", PATH))?.[point.point] ?? 0;
    return before === undefined ? 0 : Math.min(before.times, passed - before.passed);
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
      const there: Pod[] = [];
      let acted = 0;
      for (const target of targets) {
        const pod = await pods.find(target, context);
        if (pod === undefined) continue;
        acted += Math.max(0, await actsOf(target, pod, point));
        if (target.state === "Injected") there.push(pod);
      }
      // A process that is just being started again is asked by the next look.
      for (const pod of there) await armFor(pod, point, point.times - acted).catch(() => undefined);
      const detail = `${point.point} acted ${acted} times (${point.effect})`;
      return { expected: targets.length === 0 ? 0 : point.times, observed: Math.min(point.times, acted), detail };
    },
  };
}

function pointOf({ spec }: InjectContext): ActionOf<"CrashPoint"> {
  return parametersOf(spec.action, "CrashPoint");
}

function undoOf({ undo }: TargetStatus): Undo {
  return JSON.parse(undo);
}
