/** When orders are due: a rate that can be changed at any time, kept whether or not the system keeps up. */
import { abortWith } from "@ordermesh/mesh/abort-with";
import type { Clock } from "@ordermesh/mesh/clock";
import type { PlannedOrder } from "./schedule.ts";

export type Arrival = {
  readonly order: PlannedOrder;
  /** On the clock's monotonic scale. It may be past already when this process was late. */
  readonly dueMs: number;
};

export class Arrivals {
  readonly #orders: Iterable<PlannedOrder>;
  readonly #clock: Clock;
  #ratePerS: number;
  #changed = new AbortController();

  constructor(orders: Iterable<PlannedOrder>, ratePerS: number, clock: Clock) {
    this.#orders = orders;
    this.#ratePerS = ratePerS;
    this.#clock = clock;
  }

  get ratePerS(): number {
    return this.#ratePerS;
  }

  /** What is left of the pause that goes on is made longer or shorter at once. */
  setRate(ratePerS: number): void {
    this.#ratePerS = ratePerS;
    this.#changed.abort();
  }

  /** Yields each order when it is due, until `signal` aborts or the orders end. */
  async *until(signal: AbortSignal): AsyncGenerator<Arrival, void> {
    let dueMs = this.#clock.nowMs();
    for (const order of this.#orders) {
      dueMs = await this.#pause(order.pause, dueMs, signal);
      if (signal.aborted) return;
      yield { order, dueMs };
    }
  }

  /** Resolves when `pauses` mean pauses have passed since `fromMs`, with the time at which they had. */
  async #pause(pauses: number, fromMs: number, signal: AbortSignal): Promise<number> {
    let [left, sinceMs] = [pauses, fromMs];
    for (;;) {
      const changed = abortWith(signal);
      this.#changed = changed;
      const ratePerMs = this.#ratePerS / 1_000;
      const dueMs = sinceMs + left / ratePerMs;
      const waitMs = dueMs - this.#clock.nowMs();
      if (waitMs > 1) await this.#clock.sleep(waitMs, changed.signal);
      const isChanged = changed.signal.aborted;
      changed.abort();
      const nowMs = this.#clock.nowMs();
      if (!isChanged || signal.aborted || nowMs >= dueMs) return dueMs;
      left -= (nowMs - sinceMs) * ratePerMs;
      sinceMs = nowMs;
    }
  }
}
