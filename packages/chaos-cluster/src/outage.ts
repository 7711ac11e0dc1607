/** All pods of a Deployment or StatefulSet go, and come back at the end. */
import type { InjectContext } from "@ordermesh/chaos/backend";
import type { Fault } from "@ordermesh/chaos/fault";
import { type Pod, type Pods, readyIn } from "./pods.ts";
import type { Scaled, Workload } from "./scaled.ts";

/** How many were ready when the target was chosen: so many there must be again. */
type Undo = { readonly ready: number };

export function outage(pods: Pods, scaled: Scaled): Fault<Pod> {
  const listOf = ({ spec }: InjectContext) => pods.list(spec.target.selector.matchLabels);
  return {
    planUndo: (_target, _context, found) => JSON.stringify({ ready: readyIn(found) } satisfies Undo),
    inject: async (target, context) => {
      const pod = await pods.find(target, context);
      if (pod === undefined) return; // Gone already: by this, if it was injected before.
      const workload = await scaled.workloadOf(pod);
      assertWhole(workload, context);
      await scaled.stop(context.experiment.uid, workload);
    },
    heal: async (_target, { experiment }) => void (await scaled.startAgain(experiment.uid)),
    isHealed: async ({ undo }, context) => {
      if ((await scaled.count(context.experiment.uid)) > 0) return false;
      return readyIn(await listOf(context)) >= (JSON.parse(undo) as Undo).ready;
    },
    evidence: async (targets, context) => {
      const now = await listOf(context);
      const gone = targets.filter(({ uid }) => now.every((pod) => pod.uid !== uid)).length;
      const detail = `${gone} of ${targets.length} pods were gone, and none was ready`;
      return { expected: targets.length, observed: readyIn(now) > 0 ? 0 : gone, detail };
    },
  };
}

/** @throws Error when the experiment may not take all pods of the workload */
function assertWhole({ name, replicas }: Workload, { spec: { target } }: InjectContext): void {
  const { maxTargets, maxPercent, minHealthyRemaining } = target;
  const most = Math.min(maxTargets, Math.floor((replicas * maxPercent) / 100), replicas - minHealthyRemaining);
  if (most < replicas)
    throw new Error(`${name} can only be stopped with all its ${replicas} pods, and the target's bounds leave some`);
}
