/** Plays a plan against the shop, open loop: an order begins when it is due, whether or not earlier ones are answered. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Operation } from "@ordermesh/judge/history";
import type { PlannedOrder } from "./schedule.ts";
import type { Answer, ShopClient } from "./shop-client.ts";

/** A client that got no answer asks again under the same key, as often as this. */
const MAX_TRIES = 12;
const MIN_PAUSE_MS = 250;
const MAX_PAUSE_MS = 4_000;

export type Counts = {
  planned: number;
  begun: number;
  acknowledged: number;
  confirmed: number;
  cancelled: number;
  pending: number;
  refused: number;
  unknown: number;
  retries: number;
  inFlight: number;
};

type Options = {
  readonly client: ShopClient;
  readonly plan: readonly PlannedOrder[];
  readonly record: (operation: Operation) => void;
  readonly signal: AbortSignal;
};

export class Load {
  readonly counts: Counts = {
    planned: 0,
    begun: 0,
    acknowledged: 0,
    confirmed: 0,
    cancelled: 0,
    pending: 0,
    refused: 0,
    unknown: 0,
    retries: 0,
    inFlight: 0,
  };
  /** Milliseconds from the intended start to the answer, of the orders that were acknowledged. */
  readonly latenciesMs: number[] = [];
  readonly #options: Options;
  #startedMs = 0;

  constructor(options: Options) {
    this.#options = options;
    this.counts.planned = options.plan.length;
  }

  async run(): Promise<void> {
    const { plan, signal } = this.#options;
    this.#startedMs = performance.now();
    const running: Promise<void>[] = [];
    for (const order of plan) {
      const waitMs = order.atMs - this.#now();
      if (waitMs > 1) await sleep(waitMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) break;
      running.push(this.#place(order));
    }
    await Promise.all(running);
  }

  async #place(order: PlannedOrder): Promise<void> {
    const { client } = this.#options;
    this.counts.begun += 1;
    this.counts.inFlight += 1;
    const answer = await this.#untilKnown(order);
    this.counts.inFlight -= 1;
    this.#count(answer);
    const { orderId } = answer;
    if (answer.phase !== "ok" || orderId === undefined) return;
    if (order.isReplayed) this.#note("replay", order.key, await client.place(order));
    if (order.isReused) this.#note("reuse", order.key, await client.place(order, 1));
    if (order.isRead) this.#note("read", order.key, { orderId, ...(await client.read(orderId)) });
  }

  async #untilKnown(order: PlannedOrder): Promise<Answer> {
    const { client, signal } = this.#options;
    for (let tries = 1; ; tries += 1) {
      this.#note("place", order.key, { phase: "invoke" });
      const answer = await client.place(order);
      const latencyMs = this.#now() - order.atMs;
      this.#note("place", order.key, answer, latencyMs);
      if (answer.phase === "ok") this.latenciesMs.push(latencyMs);
      if (answer.phase !== "info" || tries === MAX_TRIES || signal.aborted) return answer;
      this.counts.retries += 1;
      await sleep(Math.min(MIN_PAUSE_MS * 2 ** (tries - 1), MAX_PAUSE_MS));
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
    const operation = { atMs: Math.round(this.#now()), op, key, ...answer };
    this.#options.record(latencyMs === undefined ? operation : { ...operation, latencyMs: Math.round(latencyMs) });
  }

  #now(): number {
    return performance.now() - this.#startedMs;
  }
}

/** The value below which `share` of the numbers lie; 0 for none. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
