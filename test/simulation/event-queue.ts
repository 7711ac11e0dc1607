/** Events by time, as a binary heap; those of one time in the order in which they were pushed. */
import type { SimulatedProcess } from "./scheduler.ts";

export type Scheduled = {
  readonly owner: SimulatedProcess | undefined;
  readonly label: string;
  readonly run: () => void;
  isCancelled: boolean;
};

type Entry = { readonly atMs: number; readonly order: number; readonly event: Scheduled };

export class EventQueue {
  readonly #heap: Entry[] = [];
  #pushed = 0;

  push(atMs: number, owner: SimulatedProcess | undefined, label: string, run: () => void): Scheduled {
    const event = { owner, label, run, isCancelled: false };
    this.postpone(event, atMs);
    return event;
  }

  /** Puts an event that was popped back, for later. */
  postpone(event: Scheduled, atMs: number): void {
    const entry = { atMs, order: this.#pushed++, event };
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, entry)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  /** The next event and its time. */
  pop(): { atMs: number; event: Scheduled } | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined) return undefined;
    if (heap.length > 0) this.#sink(last);
    return first;
  }

  /** Puts `entry` in the place of the first, and down to where it belongs. */
  #sink(entry: Entry): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      if (left === undefined) break;
      const right = heap[2 * at + 2];
      const isRight = right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (isBefore(entry, child)) break;
      heap[at] = child;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = entry;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
