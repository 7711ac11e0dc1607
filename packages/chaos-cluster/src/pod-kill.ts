/** Pods are deleted, each by its uid: the one that took its place is another one. */
import { parametersOf } from "@ordermesh/chaos/action";
import type { InjectContext } from "@ordermesh/chaos/backend";
import { actedOn, type Fault } from "@ordermesh/chaos/fault";
import type { TargetStatus } from "@ordermesh/chaos/status";
import { type Pods, readyIn } from "./pods.ts";

/** How many were ready when the target was chosen: so many there must be again. */
type Undo = { readonly ready: number };

export function podKill(pods: Pods): Fault {
  const listOf = ({ spec }: InjectContext) => pods.list(spec.target.selector.matchLabels);
  return {
    planUndo: (_target, _context, found) => JSON.stringify({ ready: readyIn(found) } satisfies Undo),
    inject: async (target, { spec }) => {
      await pods.remove(target, parametersOf(spec.action, "PodKill").gracePeriodSeconds);
    },
    heal: async () => undefined, // Its controller makes a new one.
    isHealed: async (target, context) => {
      const now = await listOf(context);
      const same = now.find(({ uid }) => uid === target.uid);
      if (same !== undefined) return target.state === "Planned" && !same.isTerminating;
      return readyIn(now) >= undoOf(target).ready;
    },
    evidence: async (targets, context) => {
      const now = await listOf(context);
      const killed = actedOn(targets);
      const gone = killed.filter(({ uid }) => now.every((pod) => pod.uid !== uid)).length;
      const wanted = killed.reduce((most, target) => Math.max(most, undoOf(target).ready), 0);
      const missing = Math.max(0, wanted - readyIn(now));
      const detail = `${gone} pods are gone, ${readyIn(now)} of ${wanted} are ready`;
      return { expected: targets.length, observed: Math.max(0, gone - missing), detail };
    },
  };
}

function undoOf({ undo }: TargetStatus): Undo {
  return JSON.parse(undo);
}
