/** Which action is done how in a cluster, and why some are not. */
import type { Action, ActionType } from "@ordermesh/chaos/action";
import type { Workload } from "@ordermesh/chaos/backend";
import { connectionFault, type EndConnections } from "@ordermesh/chaos/connection-faults";
import { compactionFault, spaceAlarmFault } from "@ordermesh/chaos/etcd-faults";
import { poisonFault, rebalanceFault, rewindFault } from "@ordermesh/chaos/event-faults";
import type { Fault } from "@ordermesh/chaos/fault";
import { Growths } from "@ordermesh/chaos/instances";
import { leaseFault } from "@ordermesh/chaos/lease-faults";
import { repeatedKeyFault, spikeFault } from "@ordermesh/chaos/load-faults";
import { policyChurnFault, policyDeleteFault, policyFault } from "@ordermesh/chaos/policy-faults";
import { ruleFault } from "@ordermesh/chaos/rule-faults";
import type { StoreFaults } from "@ordermesh/chaos/store-faults";
import type { KafkaOptions } from "@ordermesh/events/kafka";
import type { KubeApi } from "@ordermesh/kubernetes/kube-api";
import type { Clock } from "@ordermesh/mesh/clock";
import { type ClusterParts, NEEDS } from "./cluster-backend.ts";
import { crashPoint } from "./crash-point.ts";
import { instancesOf } from "./instances.ts";
import { outage } from "./outage.ts";
import { cutPods, PARTS, partitionFault } from "./partition.ts";
import { podKill } from "./pod-kill.ts";
import type { Pod, Pods } from "./pods.ts";
import { Scaled } from "./scaled.ts";
import { stallFault } from "./stall.ts";

export type FaultParts = {
  readonly api: KubeApi;
  readonly namespace: string;
  readonly pods: Pods;
  readonly store: StoreFaults;
  readonly workload: Workload;
  readonly kafka: KafkaOptions;
  /** Labels of all that belongs to the release. */
  readonly release: Readonly<Record<string, string>>;
  readonly endConnections: EndConnections;
  /** Whether processes crash, stand still and break their connections when they are asked to. */
  readonly areProcessesOpen: boolean;
  /** Whether a label takes pods out of the policies that let them out. */
  readonly hasPolicies: boolean;
  readonly clock: Pick<Clock, "wallMs">;
};

const CLOSED = "the processes do not let themselves be disturbed here: it needs chaos.failpoints of the chart";
const NO_POLICIES = "nothing is cut where there are no NetworkPolicies: it needs networkPolicies of the chart";

/** All faults of one controller. */
export function clusterFaults(parts: FaultParts): Pick<ClusterParts, "faultOf" | "faults" | "sweepers"> {
  const { store, pods, workload, kafka, release, areProcessesOpen, hasPolicies, clock } = parts;
  const watched = { store, instances: () => instancesOf(pods, release), growths: new Growths() };
  const scaled = new Scaled(parts.api, parts.namespace);
  const rules = ruleFault({ ...watched, clock });
  const partition = partitionFault({ pods, growths: watched.growths, canBreak: areProcessesOpen });
  const stall = stallFault(pods);
  const byType: Readonly<Partial<Record<ActionType, Fault<Pod>>>> = {
    PodKill: podKill(pods),
    Outage: outage(pods, scaled),
    Freeze: stall,
    Starve: stall,
    CrashPoint: crashPoint(pods),
    MeshFault: rules,
    TerminateConnections: connectionFault(parts.endConnections),
    RevokeLeases: leaseFault(store, (matchLabels) => pods.list(matchLabels)),
    Policy: policyFault(watched),
    PolicyDelete: policyDeleteFault(watched),
    PolicyChurn: policyChurnFault(watched),
    Compaction: compactionFault({ ...watched, cut: partition }),
    SpaceAlarm: spaceAlarmFault(store),
    PoisonEvent: poisonFault({ kafka, instances: watched.instances }),
    RewindOffsets: rewindFault({ kafka, instances: watched.instances }),
    RebalanceStorm: rebalanceFault({ kafka }),
    LoadSpike: spikeFault(workload, () => clock.wallMs()),
    RepeatedKey: repeatedKeyFault(workload),
  };
  const needs: Readonly<Partial<Record<ActionType, string>>> = NEEDS;
  const faultOf = (action: Action): Fault<Pod> | string => {
    if (action.type === "Partition" && !PARTS.includes(action.partition.peer)) return rules;
    if (action.type === "Partition") return hasPolicies ? partition : NO_POLICIES;
    if (action.type === "Compaction" && !hasPolicies) return NO_POLICIES;
    if (!areProcessesOpen && ["Freeze", "Starve", "CrashPoint"].includes(action.type)) return CLOSED;
    return byType[action.type] ?? needs[action.type] ?? `the cluster back end has no ${action.type} yet`;
  };
  return {
    faults: [...Object.values(byType), partition],
    faultOf,
    sweepers: [
      { sweep: (uid) => store.heal(uid), owners: () => store.owners() },
      { sweep: (uid) => scaled.startAgain(uid), owners: () => scaled.owners() },
      cutPods(pods),
    ],
  };
}
