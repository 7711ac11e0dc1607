/** When a consumer last showed life. */
import type { Clock } from "@ordermesh/mesh/clock";

/** A batch that is being handled is life, however long it takes: it may wait for a database. */
export class Pulse {
  readonly #clock: Clock;
  #lastMs: number;
  #handling = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastMs = clock.nowMs();
  }

  beat(): void {
    this.#lastMs = this.#clock.nowMs();
  }

  async during(work: () => Promise<void>): Promise<void> {
    this.#handling += 1;
    try {
      await work();
    } finally {
      this.#handling -= 1;
      this.beat();
    }
  }

  silentMs(): number {
    return this.#handling > 0 ? 0 : this.#clock.nowMs() - this.#lastMs;
  }
}
