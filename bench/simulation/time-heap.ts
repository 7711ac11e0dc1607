/** What is to happen, earliest first. */

type Entry<T> = { readonly atMs: number; readonly item: T };

export class TimeHeap<T> {
  readonly #entries: Entry<T>[] = [];

  push(atMs: number, item: T): void {
    const entries = this.#entries;
    entries.push({ atMs, item });
    for (let at = entries.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (this.#time(parent) <= this.#time(at)) return;
      this.#swap(parent, at);
      at = parent;
    }
  }

  /** The earliest that is due at `nowMs`; undefined when none is. */
  popUntil(nowMs: number): Entry<T> | undefined {
    const [first] = this.#entries;
    if (first === undefined || first.atMs > nowMs) return undefined;
    const last = this.#entries.pop();
    if (last !== undefined && this.#entries.length > 0) {
      this.#entries[0] = last;
      this.#sink();
    }
    return first;
  }

  #sink(): void {
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const least = this.#time(right) < this.#time(left) ? right : left;
      if (this.#time(least) >= this.#time(at)) return;
      this.#swap(least, at);
      at = least;
    }
  }

  #time(at: number): number {
    return this.#entries[at]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  #swap(a: number, b: number): void {
    const [first, second] = [this.#entries[a], this.#entries[b]];
    if (first === undefined || second === undefined) return;
    this.#entries[a] = second;
    this.#entries[b] = first;
  }
}
