/** The endpoints of every service, kept from the store's snapshots; a store that is away changes nothing (fail static). */
import { abortWith } from "./abort-with.ts";
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
  readonly #byService = new Map<string, readonly Endpoint[]>();
  #revision = 0n;
  /** By key: what the last snapshot holds. */
  readonly #listed = new Map<string, Endpoint>();
  /** What the last snapshot held, bad documents too: one that has not changed is not parsed again, and stays the same object. */
  #documents: Snapshot["entries"] = new Map();
  /** By key: what the store held before it forgot, as far as it has not come back. */
  #forgotten = new Map<string, Endpoint>();
  readonly #waiters = new Set<() => void>();
  readonly #listeners = new Map<string, (() => void)[]>();

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

  /** Calls `listener` when `of(service)` has become another array. */
  onChange(service: string, listener: () => void): void {
    this.#listeners.set(service, [...(this.#listeners.get(service) ?? []), listener]);
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
    const stop = abortWith(signal);
    const wake = () => stop.abort();
    this.#waiters.add(wake);
    await this.#dependencies.clock.sleep(timeoutMs, stop.signal);
    this.#waiters.delete(wake);
    stop.abort();
  }

  #accept(snapshot: Snapshot): void {
    if (snapshot.revision < this.#revision) this.#remember();
    const affected = this.#apply(snapshot.entries);
    if (this.#forgotten.size > 0) for (const key of this.#listed.keys()) this.#forgotten.delete(key);
    this.#revision = snapshot.revision;
    this.#publish(affected);
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
      this.#publish(servicesOf(forgotten));
    });
  }

  /** Groups the endpoints of `affected` services anew; those of all others stay the same array. */
  #publish(affected: ReadonlySet<string>): void {
    if (affected.size === 0) return;
    const grouped = new Map<string, Endpoint[]>([...affected].map((service) => [service, []]));
    for (const endpoints of [this.#listed, this.#forgotten])
      for (const endpoint of endpoints.values()) grouped.get(endpoint.service)?.push(endpoint);
    const gauge = this.#dependencies.metrics.endpoints;
    for (const [service, endpoints] of grouped) {
      endpoints.sort((a, b) => (a.instance < b.instance ? -1 : 1));
      if (endpoints.length > 0) this.#byService.set(service, endpoints);
      else this.#byService.delete(service);
      gauge.set({ service }, endpoints.length);
    }
    for (const wake of this.#waiters) wake();
    for (const service of affected) for (const listener of this.#listeners.get(service) ?? []) listener();
  }

  /** Brings `#listed` to what the entries say, and returns the services whose endpoints are not what they were. */
  #apply(entries: Snapshot["entries"]): ReadonlySet<string> {
    const affected = new Set<string>();
    const before = this.#documents;
    this.#documents = entries;
    for (const key of before.keys()) if (!entries.has(key)) this.#replace(key, undefined, affected);
    for (const [key, document] of entries)
      if (before.get(key) !== document) this.#replace(key, this.#parse(key, document), affected);
    return affected;
  }

  #replace(key: string, endpoint: Endpoint | undefined, affected: Set<string>): void {
    const known = this.#listed.get(key);
    if (known !== undefined) affected.add(known.service);
    if (endpoint === undefined) this.#listed.delete(key);
    else {
      this.#listed.set(key, endpoint);
      affected.add(endpoint.service);
    }
  }

  /** Undefined for a document that is not valid; reported, as each is seen here once. */
  #parse(key: string, document: string): Endpoint | undefined {
    try {
      return parseEndpoint(key, document);
    } catch (error) {
      this.#report(key, error);
      return undefined;
    }
  }

  #report(key: string, error: unknown): void {
    const { log, metrics } = this.#dependencies;
    metrics.badEndpoints.inc();
    const reason = error instanceof Error ? error.message : "";
    log.warn({ "mesh.key": key, "error.message": reason }, "endpoint document skipped");
  }
}

function servicesOf(endpoints: ReadonlyMap<string, Endpoint>): ReadonlySet<string> {
  return new Set([...endpoints.values()].map(({ service }) => service));
}
