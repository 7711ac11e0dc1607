/** Time and chance as parameters, so that rules and tests decide what they are. */
import { setTimeout as sleep } from "node:timers/promises";

export type Clock = {
  /** Milliseconds on a monotonic scale: for durations and deadlines. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch: for display and for rows, never for durations. */
  wallMs(): number;
  /** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
};

/** A number in [0, 1). */
export type Random = () => number;

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined),
};

/** `ms` changed by at most `ratio` in both directions, so that many processes do not act at once. */
export function jitter(ms: number, ratio: number, random: Random): number {
  return ms * (1 + ratio * (2 * random() - 1));
}
