/** The endpoints of every service, kept from the store's snapshots; a store that is away changes nothing (fail static). */
import type { Clock } from "./clock.ts";
import { type Endpoint, parseEndpoint } from "./endpoint.ts";
import { MeshError } from "./errors.ts";
import type { MeshLog } from "./log.ts";
import type { MeshMetrics } from "./metrics.ts";
import type { Snapshot, Store, Subscription } from "./store.ts";

/** Calls that may wait for a first endpoint at the same time; processes start in any order. */
const MAX_WAITERS = 1_024;

type Dependencies = {
  readonly store: Store;
  readonly prefix: string;
  readonly clock: Clock;
  readonly log: MeshLog;
  readonly metrics: MeshMetrics;
};

export class EndpointTable {
  readonly #dependencies: Dependencies;
  readonly #subscription: Subscription;
  #byService: ReadonlyMap<string, readonly Endpoint[]> = new Map();
  #revision = 0n;
  readonly #waiters = new Set<() => void>();
  readonly #listeners = new Set<() => void>();

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
    this.#subscription = dependencies.store.subscribe(`${dependencies.prefix}/endpoints/`, (snapshot) =>
      this.#accept(snapshot),
    );
  }

  /** Store revision of the last snapshot; 0 before the first. */
  get revision(): bigint {
    return this.#revision;
  }

  get services(): ReadonlyMap<string, readonly Endpoint[]> {
    return this.#byService;
  }

  /** In the order of the instance; empty when none is known. */
  of(service: string): readonly Endpoint[] {
    return this.#byService.get(service) ?? [];
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /**
   * The endpoints of a service, waiting for a first one.
   * @throws MeshError unavailable NO_ENDPOINTS when there is none after `timeoutMs` or too many calls wait already
   */
  async waitFor(service: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<readonly Endpoint[]> {
    const endsMs = this.#dependencies.clock.nowMs() + timeoutMs;
    for (;;) {
      const endpoints = this.of(service);
      const remainingMs = endsMs - this.#dependencies.clock.nowMs();
      if (endpoints.length > 0) return endpoints;
      if (remainingMs <= 0 || signal?.aborted || this.#waiters.size >= MAX_WAITERS)
        throw new MeshError("unavailable", "NO_ENDPOINTS", `no endpoint of ${service} is registered`);
      await this.#nextChange(remainingMs, signal);
    }
  }

  close(): void {
    this.#subscription.close();
    for (const wake of this.#waiters) wake();
  }

  async #nextChange(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const stop = new AbortController();
    const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
    let wake = () => stop.abort();
    const changed = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.#waiters.add(wake);
    await Promise.race([changed, this.#dependencies.clock.sleep(timeoutMs, both)]);
    this.#waiters.delete(wake);
    stop.abort();
  }

  #accept(snapshot: Snapshot): void {
    const { log, metrics } = this.#dependencies;
    const byService = new Map<string, Endpoint[]>();
    for (const [key, document] of snapshot.entries) {
      try {
        const endpoint = parseEndpoint(key, document);
        byService.set(endpoint.service, [...(byService.get(endpoint.service) ?? []), endpoint]);
      } catch (error) {
        metrics.badEndpoints.inc();
        log.warn(
          { "mesh.key": key, "error.message": error instanceof Error ? error.message : "" },
          "endpoint document skipped",
        );
      }
    }
    for (const endpoints of byService.values()) endpoints.sort((a, b) => (a.instance < b.instance ? -1 : 1));
    for (const service of this.#byService.keys()) if (!byService.has(service)) metrics.endpoints.set({ service }, 0);
    for (const [service, endpoints] of byService) metrics.endpoints.set({ service }, endpoints.length);
    this.#byService = byService;
    this.#revision = snapshot.revision;
    for (const wake of this.#waiters) wake();
    for (const listener of this.#listeners) listener();
  }
}
