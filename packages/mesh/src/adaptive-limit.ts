/**
 * How many calls of a method a server takes at a time, or how much other work of one kind, found from how long it takes:
 * Gradient2 of Netflix' concurrency-limits. While calls take as long as they used to, or a small part of the time that their
 * callers give, the limit grows; when they take longer, it shrinks. Pure.
 */

/** Weight of one call in the long view of how long calls take. */
const LONG_VIEW = 1 / 600;
const WARM_UP_CALLS = 10;
/** Calls may take this much longer than usual. */
const TOLERANCE = 1.5;
/** Part of its time that a call may take whatever it used to take: refusing what comes in time helps nobody. */
const IN_TIME = 0.2;
const SMOOTHING = 0.2;
/** Grown by in each step, at most: the root of a small limit, which could not shrink further else. */
const QUEUE = 4;
/** The long view drops faster when calls have become much faster. */
const DRIFT_FROM = 2;
const DRIFT = 0.95;

export type ConcurrencyPolicy = { readonly min: number; readonly max: number };

/** A stall of seconds of something behind a server at a modest rate is no overload, so it begins at 200. */
export const CONCURRENCY: ConcurrencyPolicy = { min: 20, max: 1_000 };
const INITIAL = 200;

export class AdaptiveLimit {
  #limit: number;
  #usualMs = 0;
  #calls = 0;

  constructor(initial = INITIAL) {
    this.#limit = initial;
  }

  within({ min, max }: ConcurrencyPolicy): number {
    return Math.floor(Math.min(Math.max(this.#limit, min), max));
  }

  /** A call that took `tookMs` of the `givenMs` until its deadline has ended, of `inFlight` with itself. */
  learn(tookMs: number, givenMs: number, inFlight: number, policy: ConcurrencyPolicy): void {
    const ms = Math.max(tookMs, 0.01);
    this.#calls += 1;
    const weight = this.#calls <= WARM_UP_CALLS ? 1 / this.#calls : LONG_VIEW;
    this.#usualMs += (ms - this.#usualMs) * weight;
    if (this.#usualMs / ms > DRIFT_FROM) this.#usualMs *= DRIFT;
    if (inFlight < this.within(policy) / 2) return; // The limit is not what held this call up.
    const limit = Math.min(Math.max(this.#limit, policy.min), policy.max);
    const gradient = Math.min(1, Math.max(0.5, (TOLERANCE * Math.max(this.#usualMs, IN_TIME * givenMs)) / ms));
    this.#limit = limit * (1 - SMOOTHING) + (limit * gradient + Math.min(QUEUE, Math.sqrt(limit))) * SMOOTHING;
  }
}
