/** The back end that injects into pods of one namespace, with the rights of a namespaced Role and nothing on the nodes. */
import type { Action, ActionType } from "@ordermesh/chaos/action";
import type { Backend, Candidate, InjectContext } from "@ordermesh/chaos/backend";
import type { Fault } from "@ordermesh/chaos/fault";
import type { TargetStatus } from "@ordermesh/chaos/status";
import type { Pod, Pods } from "./pods.ts";

/** One place where things of an experiment may be, whatever its status says. */
export type Sweeper = {
  /** Takes away what carries the experiment's uid; resolves with how many things there were. */
  readonly sweep: (experimentUid: string) => Promise<number>;
  /** The experiments that something is there of. */
  readonly owners: () => Promise<readonly string[]>;
};

export type ClusterParts = {
  readonly pods: Pods;
  /** The fault of an action, or why it cannot be done, as one sentence. */
  readonly faultOf: (action: Action) => Fault<Pod> | string;
  readonly faults: readonly Fault<Pod>[];
  readonly sweepers: readonly Sweeper[];
  readonly whyNotNow: () => Promise<string | undefined>;
  /** False when somebody else may act in our place. */
  readonly isLeading: () => boolean;
};

/** Actions that a namespaced back end cannot do, and what they would need. */
export const NEEDS = {
  Latency: "delayed bytes need a proxy, or rights over the pods' network, that this back end does not take",
  Throttle: "slow bytes need a proxy, or rights over the pods' network, that this back end does not take",
  RenewCertificates: "new certificates need the right to write Secrets, which this back end does not take",
  DnsFault: "a name that is not found needs rights over the cluster's DNS, which this back end does not take",
  DiskFill: "a full volume needs a process in the pod that owns it, which this back end does not start",
  ClockSkew: "a wrong clock needs rights over the node, which this back end does not take",
  NodeStop: "stopping a node needs rights over nodes, which this back end does not take",
} as const satisfies Partial<Record<ActionType, string>>;

export class ClusterBackend implements Backend {
  readonly name = "cluster";
  readonly #parts: ClusterParts;
  /** By the last `find`. */
  #found: readonly Pod[] = [];

  constructor(parts: ClusterParts) {
    this.#parts = parts;
  }

  whyNot = (action: Action): string | undefined => {
    const fault = this.#parts.faultOf(action);
    return typeof fault === "string" ? fault : undefined;
  };

  find = async (matchLabels: Readonly<Record<string, string>>): Promise<readonly Pod[]> => {
    this.#found = await this.#parts.pods.list(matchLabels);
    return this.#found;
  };

  whyNotNow = (): Promise<string | undefined> => this.#parts.whyNotNow();

  planUndo = (target: Candidate, context: InjectContext): string =>
    this.#fault(context).planUndo?.(target, context, this.#found) ?? "none";

  inject = async (target: TargetStatus, context: InjectContext): Promise<void> => {
    if (!this.#parts.isLeading()) throw new Error("this process does not lead any more");
    await this.#fault(context).inject(target, context);
  };

  heal = (target: TargetStatus, context: InjectContext): Promise<void> => this.#fault(context).heal(target, context);

  isHealed = (target: TargetStatus, context: InjectContext): Promise<boolean> =>
    this.#fault(context).isHealed(target, context);

  sweep = async (experimentUid: string): Promise<number> => {
    let found = 0;
    for (const { sweep } of this.#parts.sweepers) found += await sweep(experimentUid);
    return found;
  };

  /** The experiments that something is there of, whether or not they are there themselves. */
  owners = async (): Promise<ReadonlySet<string>> => {
    const all = await Promise.all(this.#parts.sweepers.map(({ owners }) => owners()));
    return new Set(all.flat());
  };

  watchFault = async (context: InjectContext): Promise<void> => this.#fault(context).watch?.(context);

  evidence = (targets: readonly TargetStatus[], context: InjectContext) =>
    this.#fault(context).evidence(targets, context);

  forget = (experimentUid: string): void => {
    for (const fault of this.#parts.faults) fault.forget?.(experimentUid);
  };

  #fault({ spec }: InjectContext): Fault<Pod> {
    const fault = this.#parts.faultOf(spec.action);
    if (typeof fault === "string") throw new Error(fault);
    return fault;
  }
}
