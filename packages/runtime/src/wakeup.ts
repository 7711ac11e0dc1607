/** Lets a loop sleep until somebody has work for it, or until a time has passed. */
import { abortWith } from "@ordermesh/mesh/abort-with";
import type { Clock } from "@ordermesh/mesh/clock";

export class Wakeup {
  readonly #clock: Clock;
  #isPending = false;
  #wakeSleeper: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the current wait, or makes the next one return at once. */
  wake(): void {
    this.#isPending = true;
    this.#wakeSleeper?.();
  }

  /** Resolves after a `wake` since the last wait, after `ms`, or when `signal` aborts. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#isPending && !signal.aborted) {
      const enough = abortWith(signal);
      this.#wakeSleeper = () => enough.abort();
      await this.#clock.sleep(ms, enough.signal);
      this.#wakeSleeper = undefined;
      enough.abort();
    }
    this.#isPending = false;
  }
}
