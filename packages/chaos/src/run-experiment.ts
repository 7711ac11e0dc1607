/** Runs an experiment from its beginning to its verdict in one process, visit after visit. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Experiment, StaleStatusError } from "./backend.ts";
import { MemoryStore } from "./memory-store.ts";
import { reconcile } from "./reconcile.ts";
import type { ExperimentStatus } from "./status.ts";
import type { Ports } from "./visit.ts";

const RETRY_MS = 1_000;

export type RunOptions = {
  /** Aborted: the fault is healed, and the experiment ends. */
  readonly signal: AbortSignal;
  readonly onStatus: (status: ExperimentStatus) => void;
  /** A visit that failed; the next one tries again. */
  readonly onError: (error: unknown) => void;
};

export async function runExperiment(
  experiment: Experiment,
  ports: Omit<Ports, "store">,
  { signal, onStatus, onError }: RunOptions,
): Promise<ExperimentStatus> {
  const store = new MemoryStore(onStatus);
  for (;;) {
    const spec = signal.aborted ? { ...experiment.spec, abort: true } : experiment.spec;
    let waitMs: number | undefined = RETRY_MS;
    try {
      const now = { ...experiment, spec, status: store.status };
      const { status, requeueAfterMs } = await reconcile(now, { ...ports, store: store.visit() });
      if (requeueAfterMs === undefined) return status;
      waitMs = requeueAfterMs;
    } catch (error) {
      if (error instanceof StaleStatusError) throw error; // Nobody else can write here.
      onError(error);
    }
    // An abort ends the wait, but only once: after it there are waits again.
    await sleep(waitMs, undefined, signal.aborted ? {} : { signal }).catch(() => undefined);
  }
}
