/** A back end that is made of faults, one for each action that it can do. */
import type { Action } from "./action.ts";
import type { Backend, Candidate, InjectContext } from "./backend.ts";
import type { Fault } from "./fault.ts";
import type { TargetStatus } from "./status.ts";

export type FaultBackendParts<C extends Candidate> = {
  readonly name: Backend["name"];
  readonly find: (matchLabels: Readonly<Record<string, string>>) => Promise<readonly C[]>;
  /** The fault of an action, or why it cannot be done, as one sentence. */
  readonly faultOf: (action: Action) => Fault<C> | string;
  readonly faults: readonly Fault<C>[];
  readonly whyNotNow: Backend["whyNotNow"];
  readonly sweep: Backend["sweep"];
};

export class FaultBackend<C extends Candidate = Candidate> implements Backend {
  readonly name: Backend["name"];
  readonly #parts: FaultBackendParts<C>;
  /** By the last `find`. */
  #found: readonly C[] = [];

  constructor(parts: FaultBackendParts<C>) {
    this.name = parts.name;
    this.#parts = parts;
  }

  whyNot(action: Action): string | undefined {
    const fault = this.#parts.faultOf(action);
    return typeof fault === "string" ? fault : undefined;
  }

  async find(matchLabels: Readonly<Record<string, string>>): Promise<readonly C[]> {
    this.#found = await this.#parts.find(matchLabels);
    return this.#found;
  }

  whyNotNow(): Promise<string | undefined> {
    return this.#parts.whyNotNow();
  }

  planUndo(target: Candidate, context: InjectContext): string {
    return this.#fault(context).planUndo?.(target, context, this.#found) ?? "none";
  }

  async inject(target: TargetStatus, context: InjectContext): Promise<void> {
    await this.#fault(context).inject(target, context);
  }

  async heal(target: TargetStatus, context: InjectContext): Promise<void> {
    await this.#fault(context).heal(target, context);
  }

  async isHealed(target: TargetStatus, context: InjectContext): Promise<boolean> {
    return await this.#fault(context).isHealed(target, context);
  }

  sweep(experimentUid: string): Promise<number> {
    return this.#parts.sweep(experimentUid);
  }

  async watchFault(context: InjectContext): Promise<void> {
    await this.#fault(context).watch?.(context);
  }

  async evidence(targets: readonly TargetStatus[], context: InjectContext) {
    return await this.#fault(context).evidence(targets, context);
  }

  forget(experimentUid: string): void {
    for (const fault of this.#parts.faults) fault.forget?.(experimentUid);
  }

  #fault({ spec }: InjectContext): Fault<C> {
    const fault = this.#parts.faultOf(spec.action);
    if (typeof fault === "string") throw new Error(fault);
    return fault;
  }
}
