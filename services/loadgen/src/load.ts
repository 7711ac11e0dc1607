/** The customers: each places an order, asks again when nobody answers, and notes what was said. */
import type { Operation } from "@ordermesh/judge/history";
import type { Clock } from "@ordermesh/mesh/clock";
import type { Arrival } from "./arrivals.ts";
import type { PlannedOrder } from "./schedule.ts";
import type { Answer, ShopClient } from "./shop-client.ts";

/** A client that got no answer asks again under the same key, as often as this. */
const MAX_TRIES = 12;
const MIN_PAUSE_MS = 250;
const MAX_PAUSE_MS = 4_000;
/** Customers that wait at a time; one more goes away without having asked. */
const MAX_IN_FLIGHT = 10_000;

export type Counts = {
  begun: number;
  acknowledged: number;
  confirmed: number;
  cancelled: number;
  pending: number;
  refused: number;
  unknown: number;
  retries: number;
  /** Orders that were looked at, or placed again under their key, and nobody answered. */
  unanswered: number;
  inFlight: number;
  /** Orders that were not placed, because too many customers were waiting. */
  skipped: number;
};

type Options = {
  readonly client: Pick<ShopClient, "place" | "read">;
  readonly record: (operation: Operation) => void;
  readonly clock: Clock;
  /** Turns the clock's monotonic time into that of the record. */
  readonly offsetMs: number;
  /** Nobody asks again after it has aborted. */
  readonly signal: AbortSignal;
};

export class Load {
  readonly counts: Counts = {
    begun: 0,
    acknowledged: 0,
    confirmed: 0,
    cancelled: 0,
    pending: 0,
    refused: 0,
    unknown: 0,
    retries: 0,
    unanswered: 0,
    inFlight: 0,
    skipped: 0,
  };
  readonly #options: Options;
  readonly #running = new Set<Promise<void>>();

  constructor(options: Options) {
    this.#options = options;
  }

  /** Does not wait for an answer. False when too many customers are waiting. */
  place({ order, dueMs }: Arrival): boolean {
    if (this.counts.inFlight >= MAX_IN_FLIGHT) {
      this.counts.skipped += 1;
      return false;
    }
    this.counts.begun += 1;
    this.#track(this.#place(order, dueMs));
    return true;
  }

  /** One order, `requests` times at once under its key. Resolves with how many were answered, and with which order ids. */
  async repeat(order: PlannedOrder, requests: number): Promise<{ answered: number; orderIds: string[] }> {
    const { client } = this.#options;
    const ask = async () => {
      this.#note("place", order.key, { phase: "invoke" });
      const answer = await client.place(order);
      this.#note("place", order.key, answer);
      return answer;
    };
    const asking = Promise.all(Array.from({ length: requests }, ask));
    this.#track(asking.then(() => undefined));
    const answers = await asking;
    const answered = answers.filter(({ phase }) => phase === "ok");
    return { answered: answered.length, orderIds: [...new Set(answered.flatMap(({ orderId }) => orderId ?? []))] };
  }

  /** Resolves when nobody waits any more. */
  async untilIdle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #track(work: Promise<void>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }

  async #place(order: PlannedOrder, dueMs: number): Promise<void> {
    const { client } = this.#options;
    this.counts.inFlight += 1;
    const answer = await this.#untilKnown(order, dueMs);
    this.counts.inFlight -= 1;
    this.#count(answer);
    const { orderId } = answer;
    if (answer.phase !== "ok" || orderId === undefined) return;
    if (order.isReplayed) this.#noteLater("replay", order.key, await client.place(order));
    if (order.isReused) this.#noteLater("reuse", order.key, await client.place(order, 1));
    if (order.isRead) this.#noteLater("read", order.key, { orderId, ...(await client.read(orderId)) });
  }

  #noteLater(op: "replay" | "reuse" | "read", key: string, answer: Answer): void {
    if (answer.phase === "info") this.counts.unanswered += 1;
    this.#note(op, key, answer);
  }

  async #untilKnown(order: PlannedOrder, dueMs: number): Promise<Answer> {
    const { client, signal, clock } = this.#options;
    for (let tries = 1; ; tries += 1) {
      this.#note("place", order.key, { phase: "invoke" });
      const answer = await client.place(order);
      this.#note("place", order.key, answer, clock.nowMs() - dueMs);
      if (answer.phase !== "info" || tries === MAX_TRIES || signal.aborted) return answer;
      this.counts.retries += 1;
      await clock.sleep(Math.min(MIN_PAUSE_MS * 2 ** (tries - 1), MAX_PAUSE_MS));
    }
  }

  #count({ phase, status }: Answer): void {
    const { counts } = this;
    if (phase === "fail") counts.refused += 1;
    if (phase === "info") counts.unknown += 1;
    if (phase !== "ok") return;
    counts.acknowledged += 1;
    if (status === "PENDING") counts.pending += 1;
    else if (status === "CANCELLED") counts.cancelled += 1;
    else counts.confirmed += 1;
  }

  #note(op: Operation["op"], key: string, answer: Answer, latencyMs?: number): void {
    const { record, clock, offsetMs } = this.#options;
    const operation = { atMs: Math.round(clock.nowMs() + offsetMs), op, key, ...answer };
    record(latencyMs === undefined ? operation : { ...operation, latencyMs: Math.round(latencyMs) });
  }
}

/** The value below which `share` of the numbers lie; 0 for none. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
