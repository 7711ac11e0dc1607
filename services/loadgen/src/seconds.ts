/** What happened in each second, in bounded memory: counts and a histogram, not the orders. */
import type { Interval, Second } from "@ordermesh/chaos/backend";
import { quantileMs } from "@ordermesh/chaos/measure";

/** Four hours; older ones are forgotten. A second holds at most as many entries as orders, and never more than 250. */
export const MAX_SECONDS = 14_400;
/** Neighbouring bounds of the histogram differ by 5 %, or by 1 ms. */
const GROWTH = 1.05;

type Open = { begun: number; accepted: number; failed: number; readonly latencies: Map<number, number> };

export class Seconds {
  /** By the second's number since the epoch; in no order, with the seconds left out in which nothing happened. */
  readonly #open = new Map<number, Open>();
  readonly #first: number;
  #last: number;

  /** Times are wall clock. */
  constructor(startedMs: number) {
    this.#first = Math.floor(startedMs / 1_000);
    this.#last = this.#first;
  }

  begun(atMs: number): void {
    this.#at(atMs).begun += 1;
  }

  failed(atMs: number): void {
    this.#at(atMs).failed += 1;
  }

  accepted(atMs: number, latencyMs: number): void {
    const second = this.#at(atMs);
    const bound = upTo(latencyMs);
    second.accepted += 1;
    second.latencies.set(bound, (second.latencies.get(bound) ?? 0) + 1);
  }

  /** Those of the run that ended in the interval, and by `nowMs`; undefined when some of them are forgotten. */
  list({ fromMs, toMs }: Interval, nowMs: number): Second[] | undefined {
    const from = Math.max(Math.floor(fromMs / 1_000), this.#first);
    const to = Math.floor(Math.min(toMs, nowMs) / 1_000);
    if (from < to && from <= this.#last - MAX_SECONDS) return undefined;
    return Array.from({ length: Math.max(0, to - from) }, (_, index) => this.#read(from + index));
  }

  #read(number: number): Second {
    const { begun = 0, accepted = 0, failed = 0, latencies = [] } = this.#open.get(number) ?? {};
    const sorted = [...latencies].sort(([a], [b]) => a - b);
    return {
      atMs: number * 1_000,
      begun,
      accepted,
      failed,
      p99Ms: quantileMs(sorted, 0.99) ?? null,
      latencies: sorted,
    };
  }

  #at(atMs: number): Open {
    const number = Math.floor(atMs / 1_000);
    const known = this.#open.get(number);
    if (known !== undefined) return known;
    const opened: Open = { begun: 0, accepted: 0, failed: 0, latencies: new Map() };
    this.#open.set(number, opened);
    if (number > this.#last) {
      this.#last = number;
      for (const old of this.#open.keys()) if (old <= number - MAX_SECONDS) this.#open.delete(old);
    }
    return opened;
  }
}

/** The histogram's bound for a latency, whole milliseconds. */
function upTo(latencyMs: number): number {
  if (latencyMs <= 1) return 1;
  return Math.ceil(GROWTH ** Math.ceil(Math.log(latencyMs) / Math.log(GROWTH)));
}
