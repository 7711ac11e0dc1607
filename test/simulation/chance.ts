/** All chance of a run, from its seed. */
import { seeded } from "@ordermesh/mesh/seeded";
import type { NewId } from "@ordermesh/runtime/ids";

export class Chance {
  /** A number in [0, 1). */
  readonly random: () => number;

  constructor(seed: number) {
    this.random = seeded(seed);
  }

  is(probability: number): boolean {
    return probability > 0 && this.random() < probability;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.random();
  }

  /** A whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.random() * items.length)];
    if (item === undefined) throw new RangeError("there is nothing to pick from");
    return item;
  }

  /** As `newId`, with bits that the seed gives. */
  readonly newId: NewId = (wallMs) => {
    const time = wallMs.toString(16).padStart(12, "0");
    const [a, b, c, d] = [this.#hex(3), this.#hex(3), this.#hex(6), this.#hex(6)];
    return `${time.slice(0, 8)}-${time.slice(8)}-7${a}-8${b}-${c}${d}`;
  };

  #hex(digits: number): string {
    return Math.floor(this.random() * 16 ** digits)
      .toString(16)
      .padStart(digits, "0");
  }
}
