/** A named run without an end: customers who come, a record in a file, and what happened in each second. */
import { createWriteStream, type WriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import type { Interval, Second } from "@ordermesh/chaos/backend";
import type { OrderMix } from "@ordermesh/chaos/order-mix";
import type { Operation } from "@ordermesh/judge/history";
import type { Clock } from "@ordermesh/mesh/clock";
import { Arrivals } from "./arrivals.ts";
import { type Counts, Load } from "./load.ts";
import type { LoadMetrics } from "./metrics.ts";
import { planOrders } from "./schedule.ts";
import { Seconds } from "./seconds.ts";
import type { ShopClient } from "./shop-client.ts";

/** A run ends by itself then: its record is read as a whole, and has about 300 bytes an order. */
export const MAX_ORDERS = 500_000;

export type RunRequest = { readonly ratePerSecond: number; readonly seed: number; readonly orders: OrderMix };

export type RunView = RunRequest & {
  readonly name: string;
  readonly state: "Running" | "Finishing" | "Finished";
  /** Wall clock. */
  readonly startedAtMs: number;
  readonly finishedAtMs: number | null;
  readonly counts: Counts;
};

type Options = {
  readonly name: string;
  readonly request: RunRequest;
  readonly client: Pick<ShopClient, "place" | "read">;
  readonly clock: Clock;
  /** Where the record goes; must not be there yet. */
  readonly file: string;
  readonly metrics: LoadMetrics;
};

export class Run {
  readonly file: string;
  readonly #options: Options;
  readonly #startedAtMs: number;
  /** Turns monotonic time into wall clock, so that a step of the clock does not tear the record. */
  readonly #offsetMs: number;
  readonly #arrivals: Arrivals;
  readonly #load: Load;
  readonly #seconds: Seconds;
  readonly #record: WriteStream;
  readonly #finish = new AbortController();
  readonly #done: Promise<void>;
  #repeats = 0;
  #finishedAtMs: number | undefined;

  constructor(options: Options) {
    const { client, clock, file, name, request } = options;
    this.#options = options;
    this.file = file;
    this.#startedAtMs = clock.wallMs();
    this.#offsetMs = this.#startedAtMs - clock.nowMs();
    this.#seconds = new Seconds(this.#startedAtMs);
    this.#record = createWriteStream(file, { flags: "ax" });
    this.#arrivals = new Arrivals(planOrders({ ...request, tag: name }), request.ratePerSecond, clock);
    const record = (operation: Operation) => this.#note(operation);
    this.#load = new Load({ client, record, clock, offsetMs: this.#offsetMs, signal: this.#finish.signal });
    this.#done = this.#run();
    this.#done.catch(() => undefined); // Whoever waits for the end gets it.
  }

  view(): RunView {
    const { name, request } = this.#options;
    const isFinishing = this.#finish.signal.aborted;
    return {
      ...request,
      name,
      ratePerSecond: this.#arrivals.ratePerS,
      state: this.#finishedAtMs !== undefined ? "Finished" : isFinishing ? "Finishing" : "Running",
      startedAtMs: this.#startedAtMs,
      finishedAtMs: this.#finishedAtMs ?? null,
      counts: { ...this.#load.counts },
    };
  }

  setRate(ratePerSecond: number): void {
    this.#arrivals.setRate(ratePerSecond);
  }

  /** One further order, sent so many times at once under one key. */
  repeat(requests: number) {
    const { name, request } = this.#options;
    this.#repeats += 1;
    const order = planOrders({ seed: request.seed, tag: `${name}-repeat${this.#repeats}`, orders: "Plain" }).next()
      .value;
    return this.#load.repeat(order, requests);
  }

  seconds(interval: Interval): Second[] | undefined {
    const nowMs = this.#options.clock.nowMs() + this.#offsetMs;
    return this.#seconds.list(interval, this.#finishedAtMs === undefined ? nowMs : Math.min(nowMs, this.#finishedAtMs));
  }

  /** Resolves when those on their way have ended and the record is in its file. @throws Error when it could not be written */
  async finish(): Promise<void> {
    this.#finish.abort();
    await this.#done;
  }

  /** Resolves when all that has happened is in the file. @throws Error when it could not be written */
  async flush(): Promise<void> {
    if (this.#record.errored !== null) throw this.#record.errored;
    if (this.#record.writableEnded) return await this.#done;
    await new Promise<void>((resolve, reject) =>
      this.#record.write("", (error) => (error ? reject(error) : resolve())),
    );
  }

  async #run(): Promise<void> {
    const written = finished(this.#record);
    const broken = written.catch(() => this.#finish.abort()); // Without a record no order is placed.
    for await (const arrival of this.#arrivals.until(this.#finish.signal)) {
      const dueAtMs = arrival.dueMs + this.#offsetMs;
      this.#seconds.begun(dueAtMs);
      if (!this.#load.place(arrival)) this.#seconds.failed(dueAtMs);
      if (this.#load.counts.begun >= MAX_ORDERS) this.#finish.abort();
    }
    await this.#load.untilIdle();
    this.#finishedAtMs = this.#options.clock.nowMs() + this.#offsetMs;
    this.#record.end();
    await broken;
    await written;
  }

  #note(operation: Operation): void {
    this.#record.write(`${JSON.stringify(operation)}\n`);
    const { op, phase, latencyMs, atMs } = operation;
    if (op !== "place" || latencyMs === undefined) return;
    this.#options.metrics.answered(phase, latencyMs / 1_000);
    if (phase === "ok") this.#seconds.accepted(atMs, latencyMs);
    else this.#seconds.failed(atMs);
  }
}
