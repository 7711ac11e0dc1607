/** Drives orders through the saga: those that this process accepted, and those that another one left behind. */
import { AdaptiveLimit, type ConcurrencyPolicy } from "@ordermesh/mesh/adaptive-limit";
import { type Clock, jitter, type Random } from "@ordermesh/mesh/clock";
import { runInContext } from "@ordermesh/mesh/context";
import type { MeshClient } from "@ordermesh/mesh/service-definition";
import type { InventoryServiceDefinition } from "@ordermesh/proto/ordermesh/inventory/v1/inventory";
import type { PaymentServiceDefinition } from "@ordermesh/proto/ordermesh/payment/v1/payment";
import { failpoint } from "@ordermesh/runtime/failpoints";
import { type NewId, newId } from "@ordermesh/runtime/ids";
import type { Logger } from "@ordermesh/runtime/log";
import { Wakeup } from "@ordermesh/runtime/wakeup";
import { toEvent } from "./messages.ts";
import type { OrderMetrics } from "./metrics.ts";
import {
  done,
  inputOfFailure,
  interruption,
  isDecided,
  next,
  reasonOf,
  type SagaInput,
  type SagaRules,
  type Step,
  stepOf,
} from "./saga.ts";
import type { OrderRow, OrderStore } from "./store.ts";

/** Each shorter than the lease, so that an order is not taken away while its step is being made. */
const STEP_TIMEOUT_MS: Readonly<Record<Step, number>> = {
  reserve: 1_500,
  charge: 3_500,
  commit: 1_500,
  refund: 3_500,
  release: 1_500,
};
const SAGA_RULES: SagaRules = { next, inputOfFailure };
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;
const RECOVERY_POLL_MS = 250;
/**
 * Places for orders that are driven: where all starts anew and the machine is short of CPU, 32 at a time slow each other down and
 * the acceptance of others with them. A process begins with few and has more as long as orders are decided in time.
 */
const FIRST_PLACES = 8;
const MIN_PLACES = 4;
/** For all of an order but its payment, which a provider may make last: that is no overload. */
const OWN_WORK_MS = 2_500;

export type RunnerOptions = {
  readonly store: OrderStore;
  readonly inventory: MeshClient<typeof InventoryServiceDefinition>;
  readonly payment: MeshClient<typeof PaymentServiceDefinition>;
  readonly timeoutMs: number;
  /** Orders that are driven at the same time, at most. */
  readonly maxDriven: number;
  readonly log: Logger;
  readonly metrics: OrderMetrics;
  readonly clock: Clock;
  readonly random: Random;
  /** Those of saga.ts, unless a test plants a bug. */
  readonly rules?: SagaRules;
  /** Random identifiers unless given. */
  readonly makeId?: NewId;
};

/** What one drive of an order has waited for payment so far. */
type Waits = { paymentMs: number };

export class SagaRunner {
  readonly #options: RunnerOptions;
  readonly #wakeup: Wakeup;
  readonly #running = new Set<Promise<unknown>>();
  readonly #limit = new AdaptiveLimit(FIRST_PLACES);
  readonly #bounds: ConcurrencyPolicy;
  /** Places kept for orders that are being accepted. */
  #kept = 0;
  /** Accepted orders wait in the database for a place: they come first. */
  #isBehind = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#wakeup = new Wakeup(options.clock);
    this.#bounds = { min: Math.min(MIN_PLACES, options.maxDriven), max: options.maxDriven };
  }

  /**
   * Keeps a place for an order that is about to be accepted, until `unkeepPlace`. False when as many orders are driven as may be:
   * the order is to be accepted without a driver then, and is claimed when its turn comes.
   */
  keepPlace(): boolean {
    this.#isBehind ||= this.#places === 0;
    if (!this.#isBehind) this.#kept += 1;
    return !this.#isBehind;
  }

  unkeepPlace(): void {
    this.#kept -= 1;
  }

  /** Drives an order that the caller holds until it is decided, rests, or is somebody else's; resolves with how it is then. Never rejects. */
  drive(row: OrderRow): Promise<OrderRow> {
    const context = {
      deadlineMs: Number.POSITIVE_INFINITY, // The saga outlives the call that began it.
      traceparent: row.traceparent,
      signal: new AbortController().signal,
      caller: "order",
    };
    const { clock, metrics } = this.#options;
    const startedMs = clock.nowMs();
    const waits = { paymentMs: 0 };
    const driving = runInContext(context, () => this.#drive(row, waits).catch((error) => this.#letGo(row, error)));
    this.#running.add(driving);
    return driving.finally(() => {
      const ownMs = clock.nowMs() - startedMs - waits.paymentMs;
      this.#limit.learn(ownMs, OWN_WORK_MS, this.#running.size, this.#bounds);
      this.#running.delete(driving);
      metrics.places.set(this.#mayDrive);
      // Not for every place: one statement claims as many orders as there are places.
      if (this.#isBehind && this.#places * 2 >= this.#mayDrive) this.wake();
    });
  }

  /** Looks for orders to take over, now. */
  wake(): void {
    this.#wakeup.wake();
  }

  /** Takes over open orders, the longest waiting first, until `signal` aborts; resolves when the last one is let go. */
  async recover(signal: AbortSignal): Promise<void> {
    const { store, random, log } = this.#options;
    while (!signal.aborted) {
      await this.#wakeup.wait(jitter(RECOVERY_POLL_MS, 0.3, random), signal);
      const places = this.#places;
      if (places === 0) continue;
      const rows = await store.claim(places).catch(() => []); // The database's metrics show the failure; it is tried again.
      if (rows.length > 0) log.info({ "saga.orders": rows.length }, "driving open orders");
      this.#isBehind = rows.length === places;
      for (const row of rows) void this.drive(row);
    }
    await Promise.all(this.#running);
  }

  get #mayDrive(): number {
    return this.#limit.within(this.#bounds);
  }

  get #places(): number {
    return Math.max(0, this.#mayDrive - this.#running.size - this.#kept);
  }

  /** Whatever stopped the drive: the order's lease ends, and recovery goes on with it. */
  #letGo(row: OrderRow, error: unknown): OrderRow {
    this.#options.log.warn({ err: error, "order.id": row.order_id }, "order let go");
    return row;
  }

  async #drive(first: OrderRow, waits: Waits): Promise<OrderRow> {
    let row = first;
    for (;;) {
      const step = stepOf(row.state);
      if (step === undefined) return row;
      const input = await this.#nextInput(row, step, waits);
      if (input === undefined) {
        const restMs = jitter(Math.min(MIN_BACKOFF_MS * 2 ** row.attempts, MAX_BACKOFF_MS), 0.2, this.#options.random);
        await this.#options.store.rest(row, restMs);
        return row;
      }
      const changed = await this.#transition(row, input);
      if (changed === undefined) return row; // Somebody else has it, or it was asked to be cancelled: recovery goes on.
      row = changed;
    }
  }

  async #nextInput(row: OrderRow, step: Step, waits: Waits): Promise<SagaInput | undefined> {
    const age = { cancelRequested: row.cancel_requested, ageMs: row.age_ms };
    const interrupted = interruption(row.state, age, this.#options.timeoutMs);
    if (interrupted === "CANCEL_REQUESTED") await failpoint("saga.cancelRequested");
    return interrupted ?? (await this.#attempt(row, step, waits));
  }

  /** What the step's outcome says; undefined when it says nothing. */
  async #attempt(row: OrderRow, step: Step, waits: Waits): Promise<SagaInput | undefined> {
    const { log, metrics, clock, rules = SAGA_RULES } = this.#options;
    const stopTimer = metrics.steps.startTimer({ step });
    const startedMs = clock.nowMs();
    try {
      await this.#call(row, step);
      stopTimer({ result: "ok" });
      await failpoint(AFTER_STEP[step]);
      return done(step);
    } catch (error) {
      const input = rules.inputOfFailure(step, error);
      stopTimer({ result: input ?? "unknown" });
      if (input === "DECLINED") await failpoint("saga.declined");
      if (input === "STEP_IMPOSSIBLE") log.error({ err: error, "saga.step": step }, "saga step is impossible");
      if (input === undefined)
        log.warn({ err: error, "saga.step": step, attempts: row.attempts }, "saga step will be tried again");
      return input;
    } finally {
      if (step === "charge" || step === "refund") waits.paymentMs += clock.nowMs() - startedMs;
    }
  }

  async #call(row: OrderRow, step: Step): Promise<unknown> {
    const { inventory, payment } = this.#options;
    const { order_id: orderId, lines, currency, total_minor: minorUnits } = row;
    const options = { timeoutMs: STEP_TIMEOUT_MS[step] };
    switch (step) {
      case "reserve":
        return await inventory.reserve(
          { orderId, lines: lines.map(({ sku, quantity }) => ({ sku, quantity })) },
          options,
        );
      case "charge":
        return await payment.charge(
          { orderId, amount: { currency, minorUnits }, paymentToken: row.payment_token ?? "" },
          options,
        );
      case "commit":
        return await inventory.commit({ orderId }, options);
      case "refund":
        return await payment.refund({ orderId }, options);
      case "release":
        return await inventory.release({ orderId }, options);
    }
  }

  async #transition(row: OrderRow, input: SagaInput): Promise<OrderRow | undefined> {
    const { store, clock, metrics, log, rules = SAGA_RULES, makeId = newId } = this.#options;
    const to = rules.next(row.state, input);
    if (to === undefined) throw new Error(`${input} has no meaning in ${row.state}`);
    const reason = reasonOf(input);
    const event = toEvent(row, to, reason, makeId(clock.wallMs()), clock.wallMs());
    const changed = await store.transition(row, { input, to, reason }, event);
    if (changed === undefined) return undefined;
    if (isDecided(to)) metrics.orders.inc({ outcome: to.toLowerCase(), reason: changed.cancel_reason ?? "" });
    if (to === "NEEDS_ATTENTION")
      log.error({ "order.id": row.order_id, "saga.state": row.state }, "order needs attention");
    return changed;
  }
}

const AFTER_STEP: Readonly<Record<Step, string>> = {
  reserve: "saga.reserved",
  charge: "saga.charged",
  commit: "saga.committed",
  refund: "saga.refunded",
  release: "saga.released",
};
