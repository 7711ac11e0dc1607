/** The store in memory: what etcd promises, without etcd. For tests and examples. */
import type { Clock } from "./clock.ts";
import { MeshError } from "./errors.ts";
import type { Lease, Snapshot, Store } from "./store.ts";

type Entry = { readonly value: string; readonly lease: number | undefined };
type Subscriber = { readonly prefix: string; readonly onSnapshot: (snapshot: Snapshot) => void };

export class MemoryStore implements Store {
  /** False makes every command fail and every change invisible, as if the store could not be reached. */
  #reachable = true;
  #revision = 1n;
  #nextLease = 1;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  readonly #leaseEndsMs = new Map<number, { endsMs: number; ttlMs: number }>();
  readonly #subscribers = new Set<Subscriber>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  subscribe(prefix: string, onSnapshot: (snapshot: Snapshot) => void) {
    const subscriber = { prefix, onSnapshot };
    this.#subscribers.add(subscriber);
    queueMicrotask(() => this.#notify(subscriber));
    return { close: () => void this.#subscribers.delete(subscriber) };
  }

  async grant(ttlS: number): Promise<Lease> {
    this.#requireReachable();
    const id = this.#nextLease++;
    this.#leaseEndsMs.set(id, { endsMs: this.#clock.nowMs() + ttlS * 1_000, ttlMs: ttlS * 1_000 });
    return {
      put: async (key, value) => {
        this.#requireReachable();
        if (!this.#leaseEndsMs.has(id)) throw new MeshError("unavailable", "STORE_UNAVAILABLE", "the lease has ended");
        this.put(key, value, id);
      },
      keepAlive: async () => {
        this.#requireReachable();
        this.expire();
        const lease = this.#leaseEndsMs.get(id);
        if (lease === undefined) return false;
        lease.endsMs = this.#clock.nowMs() + lease.ttlMs;
        return true;
      },
      revoke: async () => {
        this.#requireReachable();
        this.#end(id);
      },
    };
  }

  close(): void {
    this.#subscribers.clear();
  }

  put(key: string, value: string, lease?: number): void {
    this.#entries.set(key, { value, lease });
    this.#changed();
  }

  delete(key: string): void {
    if (this.#entries.delete(key)) this.#changed();
  }

  setReachable(reachable: boolean): void {
    this.#reachable = reachable;
    if (reachable) for (const subscriber of this.#subscribers) this.#notify(subscriber);
  }

  /** Ends every lease whose time is over. */
  expire(): void {
    for (const [id, { endsMs }] of this.#leaseEndsMs) if (endsMs <= this.#clock.nowMs()) this.#end(id);
  }

  /** Forgets everything and counts revisions from the start, as a store whose disk was lost. */
  wipe(): void {
    this.#entries.clear();
    this.#leaseEndsMs.clear();
    this.#revision = 0n;
    this.#changed();
  }

  #end(lease: number): void {
    this.#leaseEndsMs.delete(lease);
    const keys = [...this.#entries].filter(([, entry]) => entry.lease === lease).map(([key]) => key);
    for (const key of keys) this.#entries.delete(key);
    if (keys.length > 0) this.#changed();
  }

  #changed(): void {
    this.#revision += 1n;
    for (const subscriber of this.#subscribers) this.#notify(subscriber);
  }

  #notify({ prefix, onSnapshot }: Subscriber): void {
    if (!this.#reachable) return;
    const matching = [...this.#entries].filter(([key]) => key.startsWith(prefix));
    onSnapshot({ revision: this.#revision, entries: new Map(matching.map(([key, { value }]) => [key, value])) });
  }

  #requireReachable(): void {
    if (!this.#reachable) throw new MeshError("unavailable", "STORE_UNAVAILABLE", "the store cannot be reached");
  }
}
