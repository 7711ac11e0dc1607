/** A rate with bursts. Pure. */

export type RatePolicy = {
  readonly perSecond: number;
  /** Calls at once after a while without any. */
  readonly burst: number;
};

export class TokenBucket {
  #tokens = Number.POSITIVE_INFINITY;
  #atMs = 0;

  /** True, and taken, when one more call is within the rate. */
  take(nowMs: number, { perSecond, burst }: RatePolicy): boolean {
    const refilled = this.#tokens + ((nowMs - this.#atMs) / 1_000) * perSecond;
    this.#tokens = Math.min(burst, refilled);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
