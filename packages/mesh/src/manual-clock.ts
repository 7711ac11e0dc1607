/** A clock that stands still until a test moves it. */
import type { Clock } from "./clock.ts";

type Sleeper = { readonly wakeMs: number; readonly wake: () => void };

export class ManualClock implements Clock {
  #nowMs = 1_000;
  readonly #sleepers = new Set<Sleeper>();

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return Date.UTC(2026, 0, 1) + this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper = { wakeMs: this.#nowMs + ms, wake: resolve };
      this.#sleepers.add(sleeper);
      const cancel = () => {
        this.#sleepers.delete(sleeper);
        resolve();
      };
      signal?.addEventListener("abort", cancel, { once: true });
    });
  }

  /** Moves time on by `ms`, waking sleepers in their order and letting what they do settle in between. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const next = [...this.#sleepers].filter(({ wakeMs }) => wakeMs <= endMs).sort((a, b) => a.wakeMs - b.wakeMs)[0];
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.wakeMs);
      this.#sleepers.delete(next);
      next.wake();
      await settle();
    }
    this.#nowMs = endMs;
  }
}

/** Lets promise callbacks that are due run, without waiting for time. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
