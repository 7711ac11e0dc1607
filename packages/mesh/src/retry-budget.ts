/** How many retries a client of a service may make: a share of its calls, and a few for clients that call seldom. Pure. */

const WINDOW_S = 10;

export type RetryBudgetPolicy = {
  /** Retries for each call of the last ten seconds, 0 to 1. */
  readonly ratio: number;
  /** On top of it. */
  readonly perSecond: number;
};

export const RETRY_BUDGET: RetryBudgetPolicy = { ratio: 0.2, perSecond: 10 };

/** Counts in buckets of a second; a retry is refused when it would take the retries of the window over their share. */
export class RetryBudget {
  readonly #calls = new Float64Array(WINDOW_S);
  readonly #retries = new Float64Array(WINDOW_S);
  #second = 0;

  countCall(nowMs: number): void {
    this.#add(this.#calls, nowMs);
  }

  /** True, and counted, when one more retry is within the budget. Of the floor, a second gets its own part only. */
  tryRetry(nowMs: number, { ratio, perSecond }: RetryBudgetPolicy): boolean {
    this.#turn(nowMs);
    const allowed = ratio * total(this.#calls) + perSecond * WINDOW_S;
    const now = this.#retries[this.#second % WINDOW_S] ?? 0;
    const allowedNow = ratio * total(this.#calls) + perSecond;
    if (total(this.#retries) + 1 > allowed || now + 1 > allowedNow) return false;
    this.#add(this.#retries, nowMs);
    return true;
  }

  #add(counts: Float64Array, nowMs: number): void {
    this.#turn(nowMs);
    counts[this.#second % WINDOW_S] = (counts[this.#second % WINDOW_S] ?? 0) + 1;
  }

  #turn(nowMs: number): void {
    const second = Math.floor(nowMs / 1_000);
    for (let at = Math.max(this.#second + 1, second - WINDOW_S + 1); at <= second; at += 1) {
      this.#calls[at % WINDOW_S] = 0;
      this.#retries[at % WINDOW_S] = 0;
    }
    this.#second = second;
  }
}

function total(counts: Float64Array): number {
  let sum = 0;
  for (const count of counts) sum += count;
  return sum;
}
