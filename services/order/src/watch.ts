/** Tells those who wait for an order that it has changed, wherever the change was made: PostgreSQL notifies every process. */
import { abortWith } from "@ordermesh/mesh/abort-with";
import type { Clock } from "@ordermesh/mesh/clock";
import type { Database } from "@ordermesh/runtime/postgres";
import { ORDER_CHANNEL } from "./store.ts";

/** A notification may be lost with its connection, so waiting readers look again after this long. */
const LOOK_AGAIN_MS = 5_000;

export class OrderWatch {
  readonly #clock: Clock;
  readonly #waiters = new Map<string, Set<() => void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  listen(db: Database): void {
    db.listen(ORDER_CHANNEL, (orderId) => this.changed(orderId));
  }

  /** An empty id means that any order may have changed. */
  changed(orderId: string): void {
    const waiting = orderId === "" ? [...this.#waiters.values()] : [this.#waiters.get(orderId) ?? []];
    for (const waiters of waiting) for (const wake of waiters) wake();
  }

  /**
   * Reads the order now and after every change, until `isEnough`, `signal` aborts or `timeoutMs` have passed; yields what it
   * reads. Begins to listen before it reads, so that no change falls in between.
   */
  async *follow<T>(
    orderId: string,
    read: () => Promise<T>,
    until: { signal: AbortSignal; timeoutMs: number; isEnough: (value: T) => boolean },
  ): AsyncIterable<T> {
    const endsMs = this.#clock.nowMs() + until.timeoutMs;
    while (!until.signal.aborted) {
      const remainingMs = endsMs - this.#clock.nowMs();
      const pause = abortWith(until.signal);
      const wake = () => pause.abort();
      this.#add(orderId, wake);
      try {
        const value = await read();
        yield value;
        if (until.isEnough(value) || remainingMs <= 0) return;
        await this.#clock.sleep(Math.min(remainingMs, LOOK_AGAIN_MS), pause.signal);
      } finally {
        this.#remove(orderId, wake);
        pause.abort();
      }
    }
  }

  #add(orderId: string, wake: () => void): void {
    const waiters = this.#waiters.get(orderId) ?? new Set();
    this.#waiters.set(orderId, waiters.add(wake));
  }

  #remove(orderId: string, wake: () => void): void {
    const waiters = this.#waiters.get(orderId);
    waiters?.delete(wake);
    if (waiters?.size === 0) this.#waiters.delete(orderId);
  }
}
