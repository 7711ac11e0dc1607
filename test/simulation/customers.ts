/** The customers of a run: what they order, how they go on when nobody answers, and what they remember of it. */
import type { Operation } from "@ordermesh/judge/history";
import { type ErrorKind, isKind, MeshError } from "@ordermesh/mesh/errors";
import type { MeshClient } from "@ordermesh/mesh/service-definition";
import { OrderServiceDefinition, type PlaceOrderRequest } from "@ordermesh/proto/ordermesh/order/v1/order";
import type { Chance } from "./chance.ts";
import type { MemoryMesh } from "./memory-mesh.ts";
import type { Scheduler } from "./scheduler.ts";
import { SimulatedProcess } from "./scheduler.ts";

const TOKENS = [
  ["tok_visa", 10],
  ["tok_declined", 3],
  ["tok_slow", 2],
  ["tok_timeout_after_charge", 3],
  ["tok_error_after_charge", 3],
] as const;
const SKUS = [
  ["MUG-1", 8],
  ["SCARCE-1", 4],
  ["GONE-1", 1],
] as const;
/** Failures after which nobody knows whether the order was taken. */
const UNKNOWN = new Set<ErrorKind>(["unavailable", "deadline", "cancelled", "internal", "conflict"]);
const PLACE_TIMEOUT_MS = 5_000;
const MAX_TRIES = 6;

type Op = Operation["op"];

export class Customers {
  readonly history: Operation[] = [];
  readonly #orders: MeshClient<typeof OrderServiceDefinition>;
  readonly #scheduler: Scheduler;
  readonly #chance: Chance;
  readonly #process = new SimulatedProcess("storefront");
  readonly #placed = new Map<string, { request: PlaceOrderRequest; orderId?: string }>();
  #busy = 0;

  constructor(mesh: MemoryMesh, scheduler: Scheduler, chance: Chance) {
    this.#scheduler = scheduler;
    this.#chance = chance;
    this.#orders = mesh.client(this.#process, OrderServiceDefinition);
  }

  /** True when none of them waits for an answer. */
  get areDone(): boolean {
    return this.#busy === 0;
  }

  /** Lets `count` customers come within `withinMs`. */
  send(count: number, withinMs: number): void {
    for (let number = 0; number < count; number += 1) {
      const request = this.#request(number);
      this.#placed.set(request.idempotencyKey, { request });
      this.#after(this.#chance.between(0, withinMs), () => this.#buy(request));
    }
  }

  /** Everybody asks again under the key that they have used, after the faults are over. */
  askAgain(): void {
    for (const { request } of this.#placed.values()) this.#after(0, () => this.#again(request));
  }

  #after(delayMs: number, work: () => Promise<void>): void {
    this.#busy += 1;
    this.#scheduler.at(delayMs, this.#process, "customer", () => {
      work().then(() => {
        this.#busy -= 1;
      }, neverFails);
    });
  }

  async #buy(request: PlaceOrderRequest): Promise<void> {
    if (this.#chance.is(0.2)) this.#after(this.#chance.between(0, 50), () => this.#again(request)); // A second tab.
    if (this.#chance.is(0.3)) this.#after(this.#chance.between(0, 3_000), () => this.#cancel(request.idempotencyKey));
    await this.#place("place", request);
    if (this.#chance.is(0.3)) await this.#read(request.idempotencyKey);
    if (this.#chance.is(0.2)) await this.#again(request);
    // A key is taken only once its order is known; before that another body may be the first to come.
    const isTaken = this.#placed.get(request.idempotencyKey)?.orderId !== undefined;
    if (this.#chance.is(0.1) && isTaken)
      await this.#place("reuse", { ...request, lines: [{ sku: "MUG-1", quantity: 9 }] }, 1);
  }

  async #again(request: PlaceOrderRequest): Promise<void> {
    await this.#place("replay", request);
  }

  async #place(op: Op, request: PlaceOrderRequest, tries = MAX_TRIES): Promise<void> {
    const key = request.idempotencyKey;
    this.#note(op, "invoke", key, {});
    for (let attempt = 1; ; attempt += 1)
      try {
        const { order } = await this.#orders.placeOrder(request, { timeoutMs: PLACE_TIMEOUT_MS });
        const orderId = order?.orderId ?? "";
        this.#placed.set(key, { request, orderId });
        return this.#note(op, "ok", key, { orderId });
      } catch (error) {
        if (!(error instanceof MeshError)) throw error;
        const isRefused = !UNKNOWN.has(error.kind);
        if (isRefused) return this.#note(op, "fail", key, { reason: error.reason });
        if (attempt === tries) return this.#note(op, "info", key, { reason: error.reason });
        await this.#scheduler.clockOf(this.#process).sleep(this.#chance.between(10, 500));
      }
  }

  /** Whatever comes of it; the order's end tells. */
  async #cancel(key: string): Promise<void> {
    const { request, orderId } = this.#placed.get(key) ?? {};
    if (request === undefined || orderId === undefined) return;
    const { customerId } = request;
    await this.#orders.cancelOrder({ orderId, customerId }).catch(ignoreExpected);
  }

  async #read(key: string): Promise<void> {
    const { request, orderId } = this.#placed.get(key) ?? {};
    if (request === undefined || orderId === undefined) return;
    try {
      await this.#orders.getOrder({ orderId, customerId: request.customerId });
      this.#note("read", "ok", key, { orderId, httpStatus: 200 });
    } catch (error) {
      const isMissing = isKind(error, "not-found");
      this.#note("read", isMissing ? "fail" : "info", key, isMissing ? { orderId, httpStatus: 404 } : { orderId });
    }
  }

  #note(op: Op, phase: Operation["phase"], key: string, facts: Partial<Operation>): void {
    this.history.push({ atMs: this.#scheduler.nowMs, op, phase, key, ...facts });
  }

  #request(number: number): PlaceOrderRequest {
    const lines = [{ sku: this.#weighted<string>(SKUS), quantity: this.#chance.whole(1, 2) }];
    if (this.#chance.is(0.2)) lines.push({ sku: "PEN-1", quantity: 1 });
    return {
      idempotencyKey: `key-${number}`,
      customerId: `customer-${number}`,
      email: "ada@example.com",
      shipTo: { name: "Ada", street: "12 St James Square", city: "London", postalCode: "SW1Y 4JH", country: "GB" },
      lines,
      paymentToken: this.#weighted(TOKENS),
      expectedTotal: undefined,
    };
  }

  #weighted<T>(choices: readonly (readonly [T, number])[]): T {
    return this.#chance.pick(choices.flatMap(([item, weight]) => Array<T>(weight).fill(item)));
  }
}

function ignoreExpected(error: unknown): void {
  if (!(error instanceof MeshError)) throw error;
}

/** Customers catch what is expected; anything else is a bug of the simulation. */
function neverFails(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
