/** Stand-ins for order and inventory behind the storefront's clients: a Map of orders that tests move along by hand. */
import { randomUUID } from "node:crypto";
import { EventEmitter, on, once } from "node:events";
import { MeshError } from "@ordermesh/mesh/errors";
import type { CallOptions, MeshClient } from "@ordermesh/mesh/service-definition";
import type { InventoryServiceDefinition, Product } from "@ordermesh/proto/ordermesh/inventory/v1/inventory";
import {
  CancelReason,
  type GetOrderRequest,
  type ListOrdersRequest,
  type Order,
  type OrderServiceDefinition,
  OrderStatus,
  type PlaceOrderRequest,
} from "@ordermesh/proto/ordermesh/order/v1/order";

export const MUG = aProduct("MUG-1", "Enamel mug", 1299n, 40);
export const SOCKS = aProduct("SOCKS-1", "Idempotent socks", 1190n, 1_000_000);
export const GONE = aProduct("GONE-1", "First edition", 4900n, 0);

export function aProduct(sku: string, name: string, minorUnits: bigint, available: number): Product {
  const price = { currency: "EUR", minorUnits };
  return { sku, name, description: `Everything about the ${name}.`, price, available };
}

export class FakeInventory implements Pick<MeshClient<typeof InventoryServiceDefinition>, "listProducts"> {
  products: Product[] = [GONE, MUG, SOCKS];
  failure: Error | undefined;
  listed = 0;

  async listProducts() {
    this.listed += 1;
    if (this.failure !== undefined) throw this.failure;
    return { products: this.products };
  }
}

export class FakeOrders implements MeshClient<typeof OrderServiceDefinition> {
  /** Requests of `placeOrder`, with the options they came with. */
  readonly placed: { request: PlaceOrderRequest; options: CallOptions }[] = [];
  /** Thrown by every call while it is set. */
  failure: Error | undefined;
  /** What a new order is at first. */
  firstStatus: OrderStatus = OrderStatus.ORDER_STATUS_CONFIRMED;
  /** Called with every new order. */
  onPlaced: ((order: Order) => Promise<void>) | undefined;
  /** Streams that are open. */
  watching = 0;
  readonly #orders = new Map<string, Order>();
  readonly #byKey = new Map<string, { body: string; orderId: string }>();
  readonly #changes = new EventEmitter();
  readonly #inventory: FakeInventory;

  constructor(inventory: FakeInventory) {
    this.#inventory = inventory;
    this.#changes.setMaxListeners(0);
  }

  async placeOrder(request: PlaceOrderRequest, options: CallOptions = {}) {
    this.placed.push({ request, options });
    this.#mayFail();
    const { customerId, idempotencyKey } = request;
    const key = `${customerId} ${idempotencyKey}`;
    const body = JSON.stringify([request.email, request.shipTo, request.lines, request.paymentToken]);
    const earlier = this.#byKey.get(key);
    if (earlier !== undefined && earlier.body !== body)
      throw new MeshError("invalid", "IDEMPOTENCY_KEY_REUSED", "the key was used for another order", {
        violations: [{ field: "idempotency_key", description: "was used for another order" }],
      });
    if (earlier !== undefined) return { order: this.#find({ orderId: earlier.orderId, customerId }) };
    const order = this.#newOrder(request);
    this.#orders.set(order.orderId, order);
    this.#byKey.set(key, { body, orderId: order.orderId });
    void this.onPlaced?.(order);
    return { order };
  }

  async getOrder(request: GetOrderRequest) {
    this.#mayFail();
    return { order: this.#find(request) };
  }

  async listOrders({ customerId }: ListOrdersRequest) {
    this.#mayFail();
    const orders = [...this.#orders.values()].filter((order) => order.customerId === customerId).toReversed();
    return { orders, nextPageToken: "" };
  }

  async *watchOrder(request: GetOrderRequest, { signal = new AbortController().signal }: CallOptions = {}) {
    this.#mayFail();
    const changes = on(this.#changes, request.orderId, { signal });
    this.#setWatching(this.watching + 1);
    try {
      let order = this.#find(request);
      yield { order };
      while (order.status < OrderStatus.ORDER_STATUS_SHIPPED) {
        const change = await changes.next();
        this.#mayFail();
        if (change.done === true) return;
        order = change.value[0];
        yield { order };
      }
    } catch (error) {
      if (signal.aborted) throw new MeshError("cancelled", "CALL_CANCELLED", "the caller cancelled the call");
      throw error;
    } finally {
      await changes.return?.();
      this.#setWatching(this.watching - 1);
    }
  }

  async cancelOrder(request: GetOrderRequest) {
    this.#mayFail();
    const { status } = this.#find(request);
    if (status !== OrderStatus.ORDER_STATUS_PENDING)
      throw new MeshError("precondition", "ORDER_NOT_CANCELLABLE", "the order is charged already");
    return { order: this.change(request.orderId, cancelled(CancelReason.CANCEL_REASON_CUSTOMER)) };
  }

  /** Changes an order and tells those who watch it. */
  change(orderId: string, fields: Partial<Order>): Order {
    const known = this.#orders.get(orderId);
    if (known === undefined) throw new RangeError(`there is no order ${orderId}`);
    const order = { ...known, ...fields, version: known.version + 1n };
    this.#orders.set(orderId, order);
    this.#changes.emit(orderId, order);
    return order;
  }

  /** From now on every call fails with `error`, and so do the streams that are open. */
  fail(error: Error): void {
    this.failure = error;
    for (const order of this.#orders.values()) this.#changes.emit(order.orderId, order);
  }

  /** Resolves when `count` streams are open. */
  async untilWatching(count: number): Promise<void> {
    while (this.watching !== count) await once(this.#changes, "watching");
  }

  #setWatching(count: number): void {
    this.watching = count;
    this.#changes.emit("watching");
  }

  #newOrder({ customerId, lines, paymentToken }: PlaceOrderRequest): Order {
    const priced = lines.map(({ sku, quantity }) => {
      const product = this.#inventory.products.find((candidate) => candidate.sku === sku);
      if (product === undefined)
        throw new MeshError("invalid", "ORDER_INVALID", "the order is not valid", {
          violations: [{ field: "lines[0].sku", description: "is no product" }],
        });
      return { sku, quantity, name: product.name, unitPrice: product.price };
    });
    const sum = priced.reduce((total, line) => total + (line.unitPrice?.minorUnits ?? 0n) * BigInt(line.quantity), 0n);
    const at = new Date(Date.UTC(2026, 0, 2, 3, 4, 5));
    const outcome = paymentToken.startsWith("tok_declined")
      ? cancelled(CancelReason.CANCEL_REASON_PAYMENT_DECLINED)
      : { status: this.firstStatus, cancelReason: CancelReason.CANCEL_REASON_UNSPECIFIED };
    return {
      orderId: randomUUID(),
      customerId,
      lines: priced,
      total: { currency: "EUR", minorUnits: sum },
      placedAt: at,
      updatedAt: at,
      version: 1n,
      trackingCode: "",
      ...outcome,
    };
  }

  #find({ orderId, customerId }: GetOrderRequest): Order {
    const order = this.#orders.get(orderId);
    if (order === undefined || (order.customerId !== customerId && order.customerId !== "guest"))
      throw new MeshError("not-found", "ORDER_UNKNOWN", "there is no such order");
    return order;
  }

  #mayFail(): void {
    if (this.failure !== undefined) throw this.failure;
  }
}

export function cancelled(cancelReason: CancelReason): Pick<Order, "status" | "cancelReason"> {
  return { status: OrderStatus.ORDER_STATUS_CANCELLED, cancelReason };
}
