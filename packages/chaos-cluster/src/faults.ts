/** Which action is done how in a cluster, and why some are not. */
import type { Action, ActionType } from "@ordermesh/chaos/action";
import type { StoreFaults } from "@ordermesh/chaos/store-faults";
import type { Clock } from "@ordermesh/mesh/clock";
import type { ClusterParts } from "./cluster-backend.ts";
import { NEEDS } from "./cluster-backend.ts";
import type { Fault } from "./fault.ts";
import { Growths } from "./instances.ts";
import { leaseFault } from "./lease-faults.ts";
import { podKill } from "./pod-kill.ts";
import type { Pods } from "./pods.ts";
import { policyChurnFault, policyFault } from "./policy-faults.ts";
import { ruleFault } from "./rule-faults.ts";

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
  const { store, pods } = parts;
  const growths = new Growths();
  const rules = ruleFault({ ...parts, growths });
  const byType: Readonly<Partial<Record<ActionType, Fault>>> = {
    PodKill: podKill(pods),
    MeshFault: rules,
    Policy: policyFault({ ...parts, growths }),
    PolicyChurn: policyChurnFault(parts),
    RevokeLeases: leaseFault(store, pods),
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
