/**
 * Pods are cut off from what services keep their state in: a label takes them out of the NetworkPolicy that lets them out, as policies
 * only ever allow. That holds for new connections; those that are open are broken by the process itself, where it may be asked to.
 */

import { parametersOf } from "@ordermesh/chaos/action";
import { put, type Sample } from "@ordermesh/chaos/admin-ports";
import type { InjectContext } from "@ordermesh/chaos/backend";
import type { Fault } from "@ordermesh/chaos/fault";
import type { Growths } from "@ordermesh/chaos/instances";
import type { Sweeper } from "./cluster-backend.ts";
import { instancesOf } from "./instances.ts";
import { type Pod, type Pods, UID_LABEL } from "./pods.ts";

const CUT_LABEL = "chaos.ordermesh.dev/cut";
const NO_LABELS = { [CUT_LABEL]: null, [UID_LABEL]: null };

/** Ports on which the parts are reached, in every mode of the chart. */
const PORTS: Readonly<Record<string, readonly number[]>> = { etcd: [2379], postgres: [5432], kafka: [9092, 9093] };

/** What a process counts when it does not get through, by the part. */
const FAILURES: Readonly<Record<string, (sample: Sample) => boolean>> = {
  etcd: ({ name, labels }) => name === "mesh_lease_renewals_total" && /result="(failed|lost)"/.test(labels),
  postgres: ({ name }) => name === "db_client_errors_total",
  kafka: ({ name }) => name === "messaging_client_connection_errors_total",
};

export const PARTS: readonly string[] = Object.keys(PORTS);

type Parts = {
  readonly pods: Pods;
  readonly growths: Growths;
  /** Whether processes may be asked to break their connections. */
  readonly canBreak: boolean;
};

export function partitionFault({ pods, growths, canBreak }: Parts): Fault {
  const read = async (context: InjectContext) => {
    const own = await instancesOf(pods, context.spec.target.selector.matchLabels);
    return await growths.read(context.experiment.uid, own, FAILURES[peerOf(context)] ?? (() => false));
  };
  return {
    planUndo: (_target, { experiment }) => `label ${CUT_LABEL} of ${experiment.uid}`,
    watch: async (context) => void (await read(context)),
    inject: async (target, context) => {
      const peer = peerOf(context);
      await pods.label(target, { [CUT_LABEL]: peer, [UID_LABEL]: context.experiment.uid });
    },
    heal: async (target) => void (await pods.label(target, NO_LABELS)),
    isHealed: async (target, context) => (await pods.find(target, context))?.labels[CUT_LABEL] === undefined,
    evidence: async (targets, context) => {
      const held = targets.filter(({ state }) => state === "Injected");
      // Asked again and again: a policy takes a moment to be enforced everywhere.
      if (canBreak) for (const target of held) await breakOpen(await pods.find(target, context), peerOf(context));
      const growth = await read(context);
      const observed = targets.filter(({ name }) => growth.of(name) > 0).length;
      const detail = `${observed} of ${targets.length} pods counted failures at ${peerOf(context)}`;
      return { expected: targets.length, observed, detail };
    },
    forget: (uid) => growths.forget(uid),
  };
}

/** Pods that are labelled, of whichever experiment. */
export function cutPods(pods: Pods): Sweeper {
  const labelled = async () => (await pods.list({})).filter(({ labels }) => labels[UID_LABEL] !== undefined);
  return {
    owners: async () => (await labelled()).flatMap(({ labels }) => labels[UID_LABEL] ?? []),
    sweep: async (uid) => {
      const left = (await labelled()).filter(({ labels }) => labels[UID_LABEL] === uid);
      for (const pod of left) await pods.label(pod, NO_LABELS);
      return left.length;
    },
  };
}

async function breakOpen(pod: Pod | undefined, peer: string): Promise<void> {
  if (pod?.adminUrl === undefined) return;
  // One that does not answer now is asked again by the next look.
  await put(pod.adminUrl, "/debug/connections", JSON.stringify({ ports: PORTS[peer] })).catch(() => undefined);
}

function peerOf({ spec }: InjectContext): string {
  return parametersOf(spec.action, "Partition").peer;
}
