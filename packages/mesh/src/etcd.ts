/**
 * The store on etcd. Watches of etcd3 lose events on reconnect, fall silent on compaction and never notice a frozen
 * server. So a watch here only ever shortens the time to the next listing's truth: any break,
 * error or doubt ends in a new listing at a known revision and a fresh client.
 */

import { type Etcd3, EtcdLeaseInvalidError, type IWatchResponse } from "etcd3";
import { abortWith } from "./abort-with.ts";
import { type Clock, jitter, type Random } from "./clock.ts";
import { CALL_DEADLINE_MS, MAX_BACKOFF_MS, MIN_BACKOFF_MS, newClient, translate } from "./etcd-client.ts";
import type { MeshLog } from "./log.ts";
import type { StoreMetrics } from "./metrics.ts";
import type { Lease, Snapshot, Store, Subscription } from "./store.ts";

const RELIST_MS = 60_000;
/** A watch that lived for this long was healthy; the next break is retried soon again. */
const HEALTHY_AFTER_MS = 5_000;

export type EtcdOptions = {
  /** Client URLs such as `http://127.0.0.1:2379`, or `host:port`. */
  readonly endpoints: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: MeshLog;
  readonly metrics: StoreMetrics;
};

/** Connects lazily and never gives up; nothing is thrown when etcd is away. */
export function connectEtcd(options: EtcdOptions): Store {
  const leases = newClient(options.endpoints);
  const open = new Set<PrefixWatch>();
  return {
    subscribe(prefix, onSnapshot): Subscription {
      const watch = new PrefixWatch(options, prefix, onSnapshot);
      open.add(watch);
      return {
        close() {
          watch.close();
          open.delete(watch);
        },
      };
    },
    grant: (ttlS) => translate(() => grant(leases, ttlS)),
    close() {
      for (const watch of open) watch.close();
      leases.close();
    },
  };
}

async function grant(client: Etcd3, ttlS: number): Promise<Lease> {
  const lease = client.lease(ttlS, { autoKeepAlive: false });
  await lease.grant();
  return {
    put: (key, value) => translate(async () => void (await lease.put(key).value(value).exec())),
    keepAlive: () =>
      translate(async () => {
        try {
          await lease.keepaliveOnce({ deadline: Date.now() + CALL_DEADLINE_MS });
          return true;
        } catch (error) {
          if (error instanceof EtcdLeaseInvalidError) return false;
          throw error;
        }
      }),
    revoke: () => translate(async () => void (await lease.revoke())),
  };
}

/** Follows one prefix: list at revision R, watch from R + 1, and list again after any break and once a minute. */
class PrefixWatch {
  readonly #options: EtcdOptions;
  readonly #prefix: string;
  readonly #publish: (snapshot: Snapshot) => void;
  readonly #closing = new AbortController();

  constructor(options: EtcdOptions, prefix: string, publish: (snapshot: Snapshot) => void) {
    this.#options = options;
    this.#prefix = prefix;
    this.#publish = publish;
    void this.#run();
  }

  close(): void {
    this.#closing.abort();
  }

  async #run(): Promise<void> {
    const { clock, random, log, metrics } = this.#options;
    const { signal } = this.#closing;
    let backoffMs = MIN_BACKOFF_MS;
    while (!signal.aborted) {
      const startedMs = clock.nowMs();
      const client = newClient(this.#options.endpoints);
      const reason = await this.#session(client);
      client.close();
      if (signal.aborted) return;
      metrics.resyncs.inc({ reason });
      if (clock.nowMs() - startedMs >= HEALTHY_AFTER_MS) backoffMs = MIN_BACKOFF_MS;
      if (reason === "periodic") continue;
      log.warn({ "mesh.prefix": this.#prefix, reason }, "etcd cannot be followed; keeping what is known");
      await clock.sleep(jitter(backoffMs, 0.5, random), signal);
      backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS);
    }
  }

  /** One listing and the watch from there; resolves with why it ended. */
  async #session(client: Etcd3): Promise<string> {
    let listing: Listing;
    try {
      listing = await this.#list(client);
    } catch {
      return "list-failed";
    }
    this.#publishNow(listing);
    return await this.#follow(client, listing);
  }

  async #list(client: Etcd3): Promise<Listing> {
    const response = await client.getAll().prefix(this.#prefix).exec();
    const values = response.kvs.map(({ key, value }) => [key.toString(), value.toString()] as const);
    return { revision: BigInt(response.header.revision), values: new Map(values) };
  }

  /** Applies changes until the watch breaks or the next listing is due. */
  async #follow(client: Etcd3, listing: Listing): Promise<string> {
    const { clock, random } = this.#options;
    const builder = client
      .watch()
      .prefix(this.#prefix)
      .startRevision(String(listing.revision + 1n));
    const watcher = builder.watcher();
    const due = abortWith(this.#closing.signal);
    let isOpen = false;
    const broken = new Promise<string>((resolve) => {
      watcher.on("data", (response: IWatchResponse) => this.#apply(listing, response));
      watcher.on("connected", () => {
        isOpen = true;
      });
      watcher.on("disconnected", () => resolve("disconnected"));
      watcher.on("error", () => resolve("watch-error"));
      watcher.on("end", () => resolve("watch-ended"));
    });
    const relist = clock.sleep(jitter(RELIST_MS, 0.1, random), due.signal).then(() => "periodic");
    const unanswered = clock.sleep(CALL_DEADLINE_MS, due.signal).then(() => (isOpen ? broken : "watch-unanswered"));
    try {
      return await Promise.race([broken, relist, unanswered]);
    } finally {
      due.abort();
      watcher.removeAllListeners();
      watcher.on("error", () => undefined); // A late error of a closed stream must not become an uncaught one.
      watcher.cancel().catch(() => undefined);
    }
  }

  #apply(listing: Listing, response: IWatchResponse): void {
    const fresh = response.events.filter(({ kv }) => BigInt(kv.mod_revision) > listing.revision);
    for (const { type, kv } of fresh) {
      const key = kv.key.toString();
      if (type === "Put") listing.values.set(key, kv.value.toString());
      else listing.values.delete(key);
      // Not the header's revision: while etcd catches up, that one is ahead of the events still to come.
      listing.revision = BigInt(kv.mod_revision);
    }
    if (fresh.length > 0) this.#publishNow(listing);
  }

  #publishNow(listing: Listing): void {
    if (this.#closing.signal.aborted) return;
    this.#options.metrics.lastSyncMs.set(this.#prefix, this.#options.clock.nowMs());
    this.#publish({ revision: listing.revision, entries: new Map(listing.values) });
  }
}

type Listing = { revision: bigint; readonly values: Map<string, string> };
