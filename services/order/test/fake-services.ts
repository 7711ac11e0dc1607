/** Inventory and payment in memory, as their contracts say: keyed by order, repeatable, with tombstones. What they do next can be set. */
import { MeshError } from "@ordermesh/mesh/errors";
import { InventoryServiceDefinition } from "@ordermesh/proto/ordermesh/inventory/v1/inventory";
import { PaymentServiceDefinition } from "@ordermesh/proto/ordermesh/payment/v1/payment";
import { type GrpcService, implement } from "@ordermesh/runtime/grpc-service";

type StockState = "RESERVED" | "COMMITTED" | "RELEASED";
type MoneyState = "CAPTURED" | "REFUNDED" | "VOIDED" | "DECLINED";

export class FakeServices {
  readonly stock = new Map<string, StockState>();
  readonly money = new Map<string, MoneyState>();
  readonly calls: string[] = [];
  /** Runs before a call has its effect, or after it; may throw or wait. */
  before: (call: string, orderId: string) => Promise<void> | void = () => undefined;
  after: (call: string, orderId: string) => Promise<void> | void = () => undefined;

  get services(): GrpcService[] {
    const price = { currency: "EUR", minorUnits: 1299n };
    const products = ["MUG-1", "PEN-1"].map((sku) => ({ sku, name: sku, description: "", price, available: 10 }));
    const run = async <T>(call: string, orderId: string, effect: () => T): Promise<T> => {
      this.calls.push(call);
      await this.before(call, orderId);
      const result = effect();
      await this.after(call, orderId);
      return result;
    };
    return [
      implement(InventoryServiceDefinition, {
        listProducts: async () => ({ products }),
        reserve: ({ orderId }) => run("reserve", orderId, () => this.#reserve(orderId)),
        commit: ({ orderId }) => run("commit", orderId, () => this.#set(this.stock, orderId, "COMMITTED")),
        release: ({ orderId }) => run("release", orderId, () => this.#set(this.stock, orderId, "RELEASED")),
      }),
      implement(PaymentServiceDefinition, {
        charge: ({ orderId }) => run("charge", orderId, () => this.#charge(orderId)),
        refund: ({ orderId }) => run("refund", orderId, () => this.#refund(orderId)),
        getPayment: async () => ({ payment: undefined }),
      }),
    ];
  }

  #reserve(orderId: string) {
    if (this.stock.get(orderId) === "RELEASED") throw new MeshError("precondition", "RESERVATION_RELEASED", "released");
    return this.#set(this.stock, orderId, "RESERVED");
  }

  #charge(orderId: string) {
    const state = this.money.get(orderId);
    if (state === "VOIDED" || state === "REFUNDED") throw new MeshError("precondition", "PAYMENT_VOIDED", "voided");
    this.money.set(orderId, "CAPTURED");
    return { payment: undefined };
  }

  #refund(orderId: string) {
    this.money.set(orderId, this.money.get(orderId) === "CAPTURED" ? "REFUNDED" : "VOIDED");
    return { payment: undefined };
  }

  #set<T>(map: Map<string, T>, orderId: string, state: T) {
    map.set(orderId, state);
    return {};
  }
}

export const declined = () => {
  throw new MeshError("precondition", "CARD_DECLINED", "declined");
};
export const outOfStock = () => {
  throw new MeshError("precondition", "OUT_OF_STOCK", "gone");
};
export const unavailable = () => {
  throw new MeshError("unavailable", "PROVIDER_UNAVAILABLE", "away");
};
