/** Which action is done how in a cluster, and why some are not. */
import type { Action, ActionType } from "@ordermesh/chaos/action";
import type { Fault } from "@ordermesh/chaos/fault";
import { Growths } from "@ordermesh/chaos/instances";
import { leaseFault } from "@ordermesh/chaos/lease-faults";
import { policyChurnFault, policyFault } from "@ordermesh/chaos/policy-faults";
import { ruleFault } from "@ordermesh/chaos/rule-faults";
import type { StoreFaults } from "@ordermesh/chaos/store-faults";
import type { Clock } from "@ordermesh/mesh/clock";
import type { ClusterParts } from "./cluster-backend.ts";
import { NEEDS } from "./cluster-backend.ts";
import { instancesOf } from "./instances.ts";
import { podKill } from "./pod-kill.ts";
import type { Pods } from "./pods.ts";

/** What services keep their state in; everything else is a service, and is called through the mesh. */
const STORES: readonly string[] = ["etcd", "kafka", "postgres"];

export type FaultParts = {
  readonly pods: Pods;
  readonly store: StoreFaults;
  /** Labels of all that belongs to the release. */
  readonly release: Readonly<Record<string, string>>;
  readonly clock: Pick<Clock, "wallMs">;
};

/** All faults of one controller. */
export function clusterFaults(parts: FaultParts): Pick<ClusterParts, "faultOf" | "faults" | "sweepers"> {
  const { store, pods, release } = parts;
  const watched = { store, instances: () => instancesOf(pods, release), growths: new Growths() };
  const rules = ruleFault({ ...watched, clock: parts.clock });
  const byType: Readonly<Partial<Record<ActionType, Fault>>> = {
    PodKill: podKill(pods),
    MeshFault: rules,
    Policy: policyFault(watched),
    PolicyChurn: policyChurnFault(watched),
    RevokeLeases: leaseFault(store, (matchLabels) => pods.list(matchLabels)),
  };
  const needs: Readonly<Partial<Record<ActionType, string>>> = NEEDS;
  return {
    faults: Object.values(byType),
    faultOf: (action: Action) => {
      if (action.type === "Partition" && !STORES.includes(action.partition.peer)) return rules;
      return byType[action.type] ?? needs[action.type] ?? `the cluster back end has no ${action.type} yet`;
    },
    sweepers: [{ sweep: (uid) => store.heal(uid), owners: () => store.owners() }],
  };
}
