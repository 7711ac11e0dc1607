/**
 * The loop over a namespace's experiments, level-driven: a turn reads what is there, visits those whose turn it is, and sleeps until
 * one of them wants to be visited again. Whatever a turn leaves half done, the next one finds.
 */
import { type Backend, StaleStatusError } from "@ordermesh/chaos/backend";
import { queuedStatus, reconcile } from "@ordermesh/chaos/reconcile";
import type { ExperimentStatus } from "@ordermesh/chaos/status";
import type { Ports } from "@ordermesh/chaos/visit";
import type { KubeObject } from "@ordermesh/kubernetes/kube-api";
import { isStatus } from "@ordermesh/kubernetes/kube-error";
import type { ListWatch } from "@ordermesh/kubernetes/list-watch";
import type { Clock } from "@ordermesh/mesh/clock";
import type { MeshLog } from "@ordermesh/mesh/log";
import { Wakeup } from "@ordermesh/runtime/wakeup";
import type { Announcer } from "./announcer.ts";
import { type Experiments, experimentOf, hasFinalizer, InvalidExperimentError, isOver } from "./experiments.ts";
import { invalidStatus } from "./invalid-status.ts";
import type { ChaosMetrics } from "./metrics.ts";
import { goesAtMs, turnsOf } from "./turns.ts";

const IDLE_MS = 5_000;
const SWEEP_EVERY_MS = 60_000;
const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 15_000;
/** After a status that somebody else had changed, as the user's abort does. */
const STALE_PAUSE_MS = 50;

export type ControllerOptions = {
  readonly experiments: Experiments;
  readonly watch: Pick<ListWatch, "names" | "get" | "isListed" | "silenceMs">;
  readonly ports: Omit<Ports, "store"> & {
    readonly backend: Backend & { readonly owners: () => Promise<ReadonlySet<string>> };
  };
  readonly announcer: Pick<Announcer, "tell">;
  readonly metrics: ChaosMetrics;
  readonly clock: Clock;
  readonly log: MeshLog;
};

/** When one is due again, unless its spec changes before. */
type Due = { readonly atMs: number; readonly seen: string; readonly failures: number };

export class Controller {
  readonly #options: ControllerOptions;
  readonly #wakeup: Wakeup;
  readonly #due = new Map<string, Due>();
  #sweptMs = Number.NEGATIVE_INFINITY;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#wakeup = new Wakeup(options.clock);
  }

  /** Something may have changed. */
  wake(): void {
    this.#wakeup.wake();
  }

  /** Resolves when `signal` has aborted and the visit that goes on is over. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const waitMs = await this.turn(signal).catch((error: unknown) => {
        this.#options.log.error({ err: error }, "a turn failed");
        return MAX_PAUSE_MS;
      });
      await this.#wakeup.wait(waitMs, signal);
    }
  }

  /** Resolves with how long to wait, in milliseconds. */
  async turn(signal: AbortSignal): Promise<number> {
    const { watch, clock, metrics, experiments } = this.#options;
    metrics.silence.set(Math.min(watch.silenceMs() / 1_000, 1e9));
    if (!watch.isListed) return STALE_PAUSE_MS;
    const objects = watch.names().flatMap((name) => watch.get(name) ?? []);
    this.#count(objects);
    await this.#sweepOrphans(objects);
    const { visit, queue, running } = turnsOf(objects, clock.wallMs());
    for (const name of queue) await this.#guarded(watch.get(name), (object) => this.#enqueue(object, running ?? ""));
    for (const name of visit) {
      if (signal.aborted) return 0;
      await this.#guarded(watch.get(name), async () => {
        const object = await experiments.get(name); // What is watched may be late: an abort must not be.
        return object === undefined ? IDLE_MS : await this.#visit(object);
      });
    }
    const dues = objects.flatMap(({ metadata }) => this.#due.get(metadata.uid) ?? []);
    const ends = objects.filter(isOver).flatMap((object) => goesAtMs(object) ?? []);
    const waits = [...dues.map(({ atMs }) => atMs - clock.nowMs()), ...ends.map((atMs) => atMs - clock.wallMs())];
    return Math.max(0, Math.min(IDLE_MS, ...waits));
  }

  /** Calls `work` if the object is due, and notes when it is due again; a failure is tried again, later and later. */
  async #guarded(object: KubeObject | undefined, work: (object: KubeObject) => Promise<number>): Promise<void> {
    if (object === undefined) return;
    const { clock, log, metrics } = this.#options;
    const { name, uid, generation, deletionTimestamp } = object.metadata;
    const seen = `${generation} ${deletionTimestamp}`;
    const due = this.#due.get(uid);
    if (due !== undefined && due.seen === seen && clock.nowMs() < due.atMs) return;
    const again = (waitMs: number, failures: number) =>
      this.#due.set(uid, { atMs: clock.nowMs() + waitMs, seen, failures });
    try {
      again(await work(object), 0);
    } catch (error) {
      if (error instanceof StaleStatusError || isStatus(error, 409)) {
        again(STALE_PAUSE_MS, 0);
        return;
      }
      const failures = (due?.failures ?? 0) + 1;
      metrics.visitErrors.inc();
      log.warn({ err: error, "chaos.experiment": name, failures }, "visit failed, trying again");
      again(Math.min(FIRST_PAUSE_MS * 2 ** failures, MAX_PAUSE_MS), failures);
    }
  }

  async #enqueue(object: KubeObject, behind: string): Promise<number> {
    const { clock } = this.#options;
    const store = this.#storeOf(object);
    await store.save(queuedStatus(experimentOf(object), clock.wallMs(), behind));
    return IDLE_MS;
  }

  async #visit(read: KubeObject): Promise<number> {
    if (isOver(read)) return await this.#settle(read);
    const { experiments, ports, clock } = this.#options;
    const isGoing = read.metadata.deletionTimestamp !== undefined;
    if (isGoing && !hasFinalizer(read)) return IDLE_MS;
    // Before anything else: what is injected is healed even if the experiment is deleted meanwhile.
    const object = hasFinalizer(read) ? read : await experiments.addFinalizer(read);
    const store = this.#storeOf(object);
    try {
      const { requeueAfterMs } = await reconcile(experimentOf(object), { ...ports, store });
      if (requeueAfterMs !== undefined) return requeueAfterMs;
    } catch (error) {
      if (!(error instanceof InvalidExperimentError)) throw error;
      await store.save(invalidStatus(object, error.message, clock.wallMs()));
    }
    const ended = await experiments.get(object.metadata.name);
    return ended === undefined ? IDLE_MS : await this.#settle(ended);
  }

  /** Of one that has ended: its finalizer goes, and in the end itself. */
  async #settle(object: KubeObject): Promise<number> {
    const { experiments, clock } = this.#options;
    if (hasFinalizer(object)) await experiments.dropFinalizer(object);
    const goesMs = goesAtMs(object);
    if (goesMs !== undefined && goesMs <= clock.wallMs()) await experiments.remove(object);
    return IDLE_MS;
  }

  /** What is there of experiments that are gone, or that have ended: the third net. */
  async #sweepOrphans(objects: readonly KubeObject[]): Promise<void> {
    const { clock, ports, log } = this.#options;
    if (clock.nowMs() - this.#sweptMs < SWEEP_EVERY_MS) return;
    try {
      const owners = await ports.backend.owners();
      // What is watched may be late: one that seems to wait may have begun.
      const open = new Set(objects.filter((object) => !isOver(object)).map(({ metadata }) => metadata.uid));
      for (const uid of owners)
        if (!open.has(uid))
          log.warn({ "chaos.uid": uid, things: await ports.backend.sweep(uid) }, "swept what was left");
      this.#sweptMs = clock.nowMs();
    } catch (error) {
      log.warn({ err: error }, "looking for what was left failed");
    }
  }

  #storeOf(object: KubeObject) {
    const { experiments, announcer } = this.#options;
    const tell = (status: ExperimentStatus, before: ExperimentStatus | undefined) =>
      announcer.tell(object, status, before);
    return experiments.storeOf(object, tell);
  }

  #count(objects: readonly KubeObject[]): void {
    const { experiments } = this.#options.metrics;
    experiments.reset();
    for (const { status } of objects) experiments.inc({ phase: status?.phase ?? "Pending" });
    const there = new Set(objects.map(({ metadata }) => metadata.uid));
    for (const uid of this.#due.keys()) if (!there.has(uid)) this.#due.delete(uid);
  }
}
