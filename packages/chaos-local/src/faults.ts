/** Which action is done how to processes of this machine, and why some are not. */
import type { Action, ActionType } from "@ordermesh/chaos/action";
import type { Workload } from "@ordermesh/chaos/backend";
import { connectionFault } from "@ordermesh/chaos/connection-faults";
import { compactionFault, spaceAlarmFault } from "@ordermesh/chaos/etcd-faults";
import { poisonFault, rebalanceFault, rewindFault } from "@ordermesh/chaos/event-faults";
import type { Fault } from "@ordermesh/chaos/fault";
import { Growths } from "@ordermesh/chaos/instances";
import { leaseFault } from "@ordermesh/chaos/lease-faults";
import { repeatedKeyFault, spikeFault } from "@ordermesh/chaos/load-faults";
import { policyChurnFault, policyDeleteFault, policyFault } from "@ordermesh/chaos/policy-faults";
import { ruleFault } from "@ordermesh/chaos/rule-faults";
import type { StoreFaults } from "@ordermesh/chaos/store-faults";
import { terminateConnections } from "@ordermesh/local/postgres";
import type { Clock } from "@ordermesh/mesh/clock";
import { createLogger } from "@ordermesh/runtime/log";
import { expireFault, renewFault } from "./certificate-faults.ts";
import { crashFault } from "./crash-fault.ts";
import type { Network } from "./network.ts";
import { networkFault } from "./network-faults.ts";
import type { ProcessParts } from "./process-backend.ts";
import { freezeFault, killFault, outageFault, starveFault } from "./process-faults.ts";
import type { Processes } from "./processes.ts";

export type FaultParts = {
  readonly processes: Processes;
  readonly network: Network;
  readonly store: StoreFaults;
  readonly workload: Workload;
  readonly clock: Clock;
};

/** What this machine would have to give us, and does not. */
const NEEDS: Readonly<Partial<Record<ActionType, string>>> = {
  DnsFault: "names are not looked up here: everything listens on 127.0.0.1",
  DiskFill: "a full volume needs a file system of its own for each part, which takes the right to mount",
  ClockSkew: "a wrong clock for one process needs a library put under it, or the right to set this machine's clock",
  NodeStop: "all processes run on this machine, and it cannot be stopped",
  NodeDrain: "all processes run on this machine, and have no other to go to",
  RevokeAccess: "the parts on this machine let everybody do everything",
};

export function processFaults({ processes, network, store, workload, clock }: FaultParts): Omit<ProcessParts, "sweep"> {
  const { system, instances, find } = processes;
  const watched = { store, instances, growths: new Growths() };
  const log = createLogger({ service: "chaos", instance: "chaos", version: "", level: "silent" });
  const kafka = { brokers: system.state.kafka.split(","), clientId: "ordermesh-chaos", log, clock };
  const links = networkFault(network);
  const rules = ruleFault({ ...watched, clock });
  const byType: Readonly<Partial<Record<ActionType, Fault>>> = {
    PodKill: killFault(processes),
    Outage: outageFault(processes),
    Freeze: freezeFault(processes),
    Starve: starveFault(processes),
    CrashPoint: crashFault(processes),
    MeshFault: rules,
    Partition: links,
    Latency: links,
    Throttle: links,
    TerminateConnections: connectionFault((service) => terminateConnections(system.parts.postgres.address, service)),
    RevokeLeases: leaseFault(store, find),
    Policy: policyFault(watched),
    PolicyDelete: policyDeleteFault(watched),
    PolicyChurn: policyChurnFault(watched),
    Compaction: compactionFault({ cut: links, store, instances }),
    SpaceAlarm: spaceAlarmFault(store),
    RenewCertificates: renewFault(system, instances),
    ExpireCertificates: expireFault(system, instances),
    PoisonEvent: poisonFault({ kafka, instances }),
    RewindOffsets: rewindFault({ kafka, instances }),
    RebalanceStorm: rebalanceFault({ kafka }),
    LoadSpike: spikeFault(workload, () => clock.wallMs()),
    RepeatedKey: repeatedKeyFault(workload),
  };
  return {
    find,
    faults: [...Object.values(byType), rules],
    faultOf: (action: Action) => {
      if (action.type === "Partition" && !(action.partition.peer in system.parts)) return rules;
      return byType[action.type] ?? NEEDS[action.type] ?? `${action.type} is not known here`;
    },
  };
}
