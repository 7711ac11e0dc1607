/** The back end that injects into pods of one namespace, with the rights of a namespaced Role and nothing on the nodes. */
import type { ActionType } from "@ordermesh/chaos/action";
import type { InjectContext } from "@ordermesh/chaos/backend";
import { FaultBackend, type FaultBackendParts } from "@ordermesh/chaos/fault-backend";
import type { TargetStatus } from "@ordermesh/chaos/status";
import type { Pod, Pods } from "./pods.ts";

/** One place where things of an experiment may be, whatever its status says. */
export type Sweeper = {
  /** Takes away what carries the experiment's uid; resolves with how many things there were. */
  readonly sweep: (experimentUid: string) => Promise<number>;
  /** The experiments that something is there of. */
  readonly owners: () => Promise<readonly string[]>;
};

export type ClusterParts = Pick<FaultBackendParts<Pod>, "faultOf" | "faults" | "whyNotNow"> & {
  readonly pods: Pods;
  readonly sweepers: readonly Sweeper[];
  /** False when somebody else may act in our place. */
  readonly isLeading: () => boolean;
};

/** Actions that a namespaced back end cannot do, and what they would need. */
export const NEEDS = {
  Latency: "delayed bytes need a proxy, or rights over the pods' network, that this back end does not take",
  Throttle: "slow bytes need a proxy, or rights over the pods' network, that this back end does not take",
  RenewCertificates: "new certificates need the right to write Secrets, which this back end does not take",
  ExpireCertificates: "other certificates need the right to write Secrets, which this back end does not take",
  DnsFault: "a name that is not found needs rights over the cluster's DNS, which this back end does not take",
  DiskFill: "a full volume needs a process in the pod that owns it, which this back end does not start",
  ClockSkew: "a wrong clock needs rights over the node, which this back end does not take",
  NodeStop: "stopping a node needs rights over nodes, which this back end does not take",
  NodeDrain: "draining a node needs rights over nodes, which this back end does not take",
  RevokeAccess: "taking a user's rights needs the right to write KafkaUsers, which this back end does not take",
} as const satisfies Partial<Record<ActionType, string>>;

export class ClusterBackend extends FaultBackend<Pod> {
  readonly #parts: Pick<ClusterParts, "sweepers" | "isLeading">;

  constructor(parts: ClusterParts) {
    const { pods, sweepers, faultOf, faults, whyNotNow } = parts;
    const sweep = async (experimentUid: string): Promise<number> => {
      let found = 0;
      for (const sweeper of sweepers) found += await sweeper.sweep(experimentUid);
      return found;
    };
    super({ name: "cluster", find: (labels) => pods.list(labels), faultOf, faults, whyNotNow, sweep });
    this.#parts = parts;
  }

  override async inject(target: TargetStatus, context: InjectContext): Promise<void> {
    if (!this.#parts.isLeading()) throw new Error("this process does not lead any more");
    await super.inject(target, context);
  }

  /** The experiments that something is there of, whether or not they are there themselves. */
  async owners(): Promise<ReadonlySet<string>> {
    const all = await Promise.all(this.#parts.sweepers.map(({ owners }) => owners()));
    return new Set(all.flat());
  }
}
