/**
 * One of several processes leads, by a Lease of coordination.k8s.io, as client-go's election does it: only the local monotonic clock
 * counts. It does not fence: a leader that stood still may act once more before it notices, so that every act needs a guard of its own.
 */
import { type Clock, jitter, type Random } from "@ordermesh/mesh/clock";
import type { MeshLog } from "@ordermesh/mesh/log";
import { type KubeApi, type KubeObject, pathOf } from "./kube-api.ts";
import { ifThere, isStatus } from "./kube-error.ts";

const API_VERSION = "coordination.k8s.io/v1";
const JITTER = 0.2;

export type ElectionOptions = {
  readonly api: KubeApi;
  readonly namespace: string;
  readonly name: string;
  /** Unique among those who want to lead. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: MeshLog;
  /** Whoever waits takes the lease that long after it last saw it renewed. Milliseconds, whole seconds. */
  readonly durationMs?: number;
  /** A leader that could not renew for so long gives up; less than `durationMs`. */
  readonly giveUpMs?: number;
  readonly retryMs?: number;
};

export class LeaseElection {
  readonly #options: Required<ElectionOptions>;
  /** The lease as it was last seen to change, and when by our clock. */
  #seen = { version: "", atMs: 0 };
  #renewedMs = Number.NEGATIVE_INFINITY;

  constructor(options: ElectionOptions) {
    this.#options = { durationMs: 15_000, giveUpMs: 10_000, retryMs: 2_000, ...options };
  }

  /** Whether nobody else can have the lease now, by our clock. */
  isLeading(): boolean {
    const { clock, giveUpMs } = this.#options;
    return clock.nowMs() - this.#renewedMs < giveUpMs;
  }

  /** Resolves with true when this process leads, with false when `signal` aborts first. */
  async acquire(signal: AbortSignal): Promise<boolean> {
    const { clock, random, log, retryMs } = this.#options;
    while (!signal.aborted) {
      const isOurs = await this.#try().catch((error: unknown) => {
        log.warn({ err: error }, "asking for the lease failed");
        return false;
      });
      if (isOurs) return true;
      await clock.sleep(jitter(retryMs, JITTER, random), signal);
    }
    return false;
  }

  /** Renews; resolves with "lost" when that failed for too long or somebody else leads, with "stopped" when `signal` aborts. */
  async hold(signal: AbortSignal): Promise<"lost" | "stopped"> {
    const { clock, log, retryMs } = this.#options;
    while (!signal.aborted) {
      await clock.sleep(retryMs, signal);
      if (signal.aborted) return "stopped";
      const isOurs = await this.#try().catch((error: unknown) => {
        log.warn({ err: error }, "renewing the lease failed");
        return undefined;
      });
      if (isOurs === false || !this.isLeading()) return "lost";
    }
    return "stopped";
  }

  /** Gives the lease up, so that another one need not wait. */
  async release(): Promise<void> {
    if (!this.isLeading()) return;
    this.#renewedMs = Number.NEGATIVE_INFINITY;
    const lease = await this.#get();
    if (lease?.spec.holderIdentity !== this.#options.identity) return;
    await this.#options.api.replace(this.#call(), { ...lease, spec: { ...lease.spec, holderIdentity: "" } });
  }

  /** Whether the lease is ours now. @throws KubeError */
  async #try(): Promise<boolean> {
    const { api, clock, namespace, name, identity, durationMs } = this.#options;
    const askedMs = clock.nowMs();
    const lease = await this.#get();
    const isOurs = lease?.spec.holderIdentity === identity;
    if (lease !== undefined && !isOurs && !this.#isOver(lease, askedMs)) return false;
    const now = microTime(clock.wallMs());
    const spec = {
      ...(lease?.spec ?? { leaseTransitions: 0 }),
      holderIdentity: identity,
      leaseDurationSeconds: Math.round(durationMs / 1_000),
      renewTime: now,
      ...(isOurs ? {} : { acquireTime: now, leaseTransitions: (lease?.spec.leaseTransitions ?? 0) + 1 }),
    };
    try {
      if (lease === undefined)
        await api.create(
          { path: pathOf(API_VERSION, namespace, "leases") },
          { apiVersion: API_VERSION, kind: "Lease", metadata: { name }, spec },
        );
      else await api.replace(this.#call(), { ...lease, spec }); // With its resourceVersion: who is first wins.
    } catch (error) {
      if (isStatus(error, 409) && !isOurs) return false; // Somebody else was first.
      throw error;
    }
    this.#renewedMs = askedMs;
    return true;
  }

  #isOver({ metadata, spec }: KubeObject, nowMs: number): boolean {
    if (metadata.resourceVersion !== this.#seen.version)
      this.#seen = { version: metadata.resourceVersion, atMs: nowMs };
    if (!spec.holderIdentity) return true;
    const durationMs = (spec.leaseDurationSeconds ?? 0) * 1_000 || this.#options.durationMs;
    return nowMs - this.#seen.atMs > durationMs;
  }

  #get(): Promise<KubeObject | undefined> {
    return ifThere(this.#options.api.get(this.#call()));
  }

  #call() {
    const { namespace, name } = this.#options;
    return { path: pathOf(API_VERSION, namespace, "leases", name) };
  }
}

/** RFC 3339 with microseconds, which a lease's times must have. */
function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace("Z", "000Z");
}
