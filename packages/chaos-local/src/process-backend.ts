/** The back end that injects into processes of this machine. What it did is known to this process alone: both end together. */
import type { Candidate, InjectContext } from "@ordermesh/chaos/backend";
import { FaultBackend, type FaultBackendParts } from "@ordermesh/chaos/fault-backend";
import type { TargetStatus } from "@ordermesh/chaos/status";

export type ProcessParts = Omit<FaultBackendParts<Candidate>, "name" | "whyNotNow">;

export class ProcessBackend extends FaultBackend {
  /** By experiment, round and target: what was injected already. */
  readonly #injected = new Map<string, Set<string>>();

  constructor(parts: ProcessParts) {
    super({ ...parts, name: "process", whyNotNow: async () => undefined }); // Whoever runs it owns the system.
  }

  override async inject(target: TargetStatus, context: InjectContext): Promise<void> {
    const { uid } = context.experiment;
    const done = this.#injected.get(uid) ?? new Set();
    this.#injected.set(uid, done);
    const key = `${target.round} ${target.uid}`;
    if (done.has(key)) return;
    await super.inject(target, context);
    done.add(key);
  }

  override forget(experimentUid: string): void {
    this.#injected.delete(experimentUid);
    super.forget(experimentUid);
  }
}
