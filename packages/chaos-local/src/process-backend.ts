/** The back end that injects into processes of this machine. What it did is known to this process alone: both end together. */
import type { Action } from "@ordermesh/chaos/action";
import type { Backend, Candidate, InjectContext } from "@ordermesh/chaos/backend";
import type { Fault } from "@ordermesh/chaos/fault";
import type { TargetStatus } from "@ordermesh/chaos/status";

export type ProcessParts = {
  readonly find: Backend["find"];
  /** The fault of an action, or why it cannot be done, as one sentence. */
  readonly faultOf: (action: Action) => Fault | string;
  readonly faults: readonly Fault[];
  /** Takes away what carries the experiment's uid outside of this process; resolves with how many things there were. */
  readonly sweep: Backend["sweep"];
};

export class ProcessBackend implements Backend {
  readonly name = "process";
  readonly #parts: ProcessParts;
  /** By experiment, round and target: what was injected already. */
  readonly #injected = new Map<string, Set<string>>();

  constructor(parts: ProcessParts) {
    this.#parts = parts;
  }

  whyNot = (action: Action): string | undefined => {
    const fault = this.#parts.faultOf(action);
    return typeof fault === "string" ? fault : undefined;
  };

  find = (matchLabels: Readonly<Record<string, string>>) => this.#parts.find(matchLabels);

  /** Whoever runs it owns the system. */
  whyNotNow = async (): Promise<string | undefined> => undefined;

  planUndo = (target: Candidate, context: InjectContext): string =>
    this.#fault(context).planUndo?.(target, context, []) ?? "none";

  inject = async (target: TargetStatus, context: InjectContext): Promise<void> => {
    const { uid } = context.experiment;
    const done = this.#injected.get(uid) ?? new Set();
    this.#injected.set(uid, done);
    const key = `${target.round} ${target.uid}`;
    if (done.has(key)) return;
    await this.#fault(context).inject(target, context);
    done.add(key);
  };

  heal = (target: TargetStatus, context: InjectContext): Promise<void> => this.#fault(context).heal(target, context);

  isHealed = (target: TargetStatus, context: InjectContext): Promise<boolean> =>
    this.#fault(context).isHealed(target, context);

  sweep = (experimentUid: string): Promise<number> => this.#parts.sweep(experimentUid);

  watchFault = async (context: InjectContext): Promise<void> => this.#fault(context).watch?.(context);

  evidence = (targets: readonly TargetStatus[], context: InjectContext) =>
    this.#fault(context).evidence(targets, context);

  forget = (experimentUid: string): void => {
    this.#injected.delete(experimentUid);
    for (const fault of this.#parts.faults) fault.forget?.(experimentUid);
  };

  #fault({ spec }: InjectContext): Fault {
    const fault = this.#parts.faultOf(spec.action);
    if (typeof fault === "string") throw new Error(fault);
    return fault;
  }
}
