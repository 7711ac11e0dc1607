/** Bounds the calls to one service: so many at a time, so many waiting for so long, and a refusal at once beyond. */
import { abortWith } from "./abort-with.ts";
import type { Clock } from "./clock.ts";
import { MeshError } from "./errors.ts";

export type CallLimitPolicy = {
  readonly inFlight: number;
  readonly queued: number;
  /** A call whose turn has not come by then is refused: what waits longer only makes everybody late. */
  readonly maxWaitMs: number;
};

export const CALL_LIMIT: CallLimitPolicy = { inFlight: 1_024, queued: 1_024, maxWaitMs: 100 };

export class CallLimit {
  readonly #clock: Clock;
  readonly #policy: () => CallLimitPolicy;
  #inFlight = 0;
  /** In the order of their arrival. */
  readonly #queue = new Set<() => void>();

  /** `policy` is asked each time: it may change. */
  constructor(clock: Clock, policy: () => CallLimitPolicy) {
    this.#clock = clock;
    this.#policy = policy;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get queued(): number {
    return this.#queue.size;
  }

  /** True when the call may go ahead at once; it has to `leave`. Otherwise it has to `wait`. */
  tryEnter(): boolean {
    if (this.#inFlight >= this.#policy().inFlight || this.#queue.size > 0) return false;
    this.#inFlight += 1;
    return true;
  }

  /** Resolves when it is this call's turn. @throws MeshError exhausted TOO_MANY_CALLS, deadline DEADLINE_EXCEEDED, cancelled CALL_CANCELLED */
  async wait(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { queued, maxWaitMs } = this.#policy();
    if (this.#queue.size >= queued)
      throw new MeshError("exhausted", "TOO_MANY_CALLS", "too many calls to this service wait already");
    const turn = abortWith(signal);
    let isMine = false;
    const enter = () => {
      isMine = true;
      turn.abort();
    };
    this.#queue.add(enter);
    const waitMs = Math.min(timeoutMs, maxWaitMs);
    await this.#clock.sleep(waitMs, turn.signal);
    // A process that stood still runs its timers before it reads the answers that make room.
    await this.#clock.sleep(0, turn.signal);
    this.#queue.delete(enter);
    turn.abort();
    if (isMine) return;
    if (signal?.aborted) throw new MeshError("cancelled", "CALL_CANCELLED", "the caller cancelled the call");
    if (timeoutMs <= maxWaitMs)
      throw new MeshError("deadline", "DEADLINE_EXCEEDED", "the deadline passed before it was the call's turn");
    throw new MeshError("exhausted", "TOO_MANY_CALLS", `it was not the call's turn within ${maxWaitMs} ms`);
  }

  /** Hands its place to the first in the queue. */
  leave(): void {
    const [next] = this.#queue;
    if (next === undefined) this.#inFlight -= 1;
    else {
      this.#queue.delete(next);
      next();
    }
  }
}
