/** The endpoints of every service, kept from the store's snapshots; a store that is away changes nothing (fail static). */
import type { Clock } from "./clock.ts";
import { type Endpoint, parseEndpoint } from "./endpoint.ts";
import type { MeshLog } from "./log.ts";
import type { MeshMetrics } from "./metrics.ts";
import type { Snapshot, Store, Subscription } from "./store.ts";

/** Calls that may wait for a first endpoint at the same time; processes start in any order. */
const MAX_WAITERS = 1_024;
/** Time for living processes to register again in a store that forgot them; a lease's TTL and half of it. */
const FORGOTTEN_GRACE_MS = 15_000;

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
  readonly #closing = new AbortController();
  #byService: ReadonlyMap<string, readonly Endpoint[]> = new Map();
  #revision = 0n;
  /** By key: what the last snapshot holds. */
  #listed = new Map<string, Endpoint>();
  /** Key to document of `#listed`: one that has not changed is not parsed again, and stays the same object. */
  #documents: Snapshot["entries"] = new Map();
  /** By key: what the store held before it forgot, as far as it has not come back. */
  #forgotten = new Map<string, Endpoint>();
  /** Key to document of what could not be parsed, so that each is reported once. */
  #skipped = new Map<string, string>();
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

  /** Like `of`, but waits for a first endpoint; empty after `timeoutMs`, on abort, and when too many calls wait already. */
  async waitFor(service: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<readonly Endpoint[]> {
    const { clock } = this.#dependencies;
    const endsMs = clock.nowMs() + timeoutMs;
    while (this.of(service).length === 0 && !signal?.aborted && this.#waiters.size < MAX_WAITERS) {
      const remainingMs = endsMs - clock.nowMs();
      if (remainingMs <= 0) break;
      await this.#nextChange(remainingMs, signal);
    }
    return this.of(service);
  }

  close(): void {
    this.#closing.abort();
    this.#subscription.close();
  }

  async #nextChange(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const stop = new AbortController();
    const wake = () => stop.abort();
    this.#waiters.add(wake);
    const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
    await this.#dependencies.clock.sleep(timeoutMs, both);
    this.#waiters.delete(wake);
  }

  #accept(snapshot: Snapshot): void {
    const listed = this.#parse(snapshot.entries);
    if (snapshot.revision < this.#revision) this.#remember();
    for (const key of listed.keys()) this.#forgotten.delete(key);
    this.#listed = listed;
    this.#revision = snapshot.revision;
    this.#publish();
  }

  /** A store whose revision went back was restored or emptied: what it does not know is not gone. */
  #remember(): void {
    const { clock, log } = this.#dependencies;
    const forgotten = new Map([...this.#forgotten, ...this.#listed]);
    this.#forgotten = forgotten;
    log.warn(
      { endpoints: forgotten.size },
      "store went back to an older revision; keeping known endpoints for a while",
    );
    void clock.sleep(FORGOTTEN_GRACE_MS, this.#closing.signal).then(() => {
      if (this.#forgotten !== forgotten || this.#closing.signal.aborted) return;
      this.#forgotten = new Map();
      this.#publish();
    });
  }

  #publish(): void {
    const byService = new Map<string, Endpoint[]>();
    for (const endpoints of [this.#listed, this.#forgotten])
      for (const endpoint of endpoints.values()) {
        const siblings = byService.get(endpoint.service);
        if (siblings === undefined) byService.set(endpoint.service, [endpoint]);
        else siblings.push(endpoint);
      }
    const gauge = this.#dependencies.metrics.endpoints;
    for (const service of this.#byService.keys()) gauge.set({ service }, 0);
    for (const [service, endpoints] of byService) {
      endpoints.sort((a, b) => (a.instance < b.instance ? -1 : 1));
      gauge.set({ service }, endpoints.length);
    }
    this.#byService = byService;
    for (const wake of this.#waiters) wake();
    for (const listener of this.#listeners) listener();
  }

  #parse(entries: Snapshot["entries"]): Map<string, Endpoint> {
    const parsed = new Map<string, Endpoint>();
    const skipped = new Map<string, string>();
    for (const [key, document] of entries) {
      const known = this.#documents.get(key) === document ? this.#listed.get(key) : undefined;
      try {
        parsed.set(key, known ?? parseEndpoint(key, document));
      } catch (error) {
        skipped.set(key, document);
        if (this.#skipped.get(key) !== document) this.#report(key, error);
      }
    }
    this.#skipped = skipped;
    this.#documents = entries;
    return parsed;
  }

  #report(key: string, error: unknown): void {
    const { log, metrics } = this.#dependencies;
    metrics.badEndpoints.inc();
    const reason = error instanceof Error ? error.message : "";
    log.warn({ "mesh.key": key, "error.message": reason }, "endpoint document skipped");
  }
}
