/** Inventory and payment in memory, true to their contracts; a test can hold a step up or make it fail, before or after its effect. */
import { MeshError } from "@ordermesh/mesh/errors";
import { InventoryServiceDefinition } from "@ordermesh/proto/ordermesh/inventory/v1/inventory";
import { PaymentServiceDefinition } from "@ordermesh/proto/ordermesh/payment/v1/payment";
import { implement } from "@ordermesh/runtime/grpc-service";
import type { Step } from "../src/saga.ts";

const PRODUCTS = [
  ["GONE-1", "Gone", 100n],
  ["MUG-1", "Mug", 1299n],
].map(([sku, name, minorUnits]) => ({
  sku: String(sku),
  name: String(name),
  description: "",
  price: { currency: "EUR", minorUnits: BigInt(minorUnits ?? 0) },
  available: 1,
}));

type Hook = (orderId: string) => Promise<void> | void;

export class Partners {
  /** Steps in the order in which they were asked for, each attempt. */
  readonly calls: Step[] = [];
  readonly stock = new Map<string, "RESERVED" | "COMMITTED" | "RELEASED">();
  readonly payments = new Map<string, "CAPTURED" | "DECLINED" | "REFUNDED" | "VOIDED">();
  captures = 0;
  readonly before: Partial<Record<Step, Hook>> = {};
  readonly after: Partial<Record<Step, Hook>> = {};

  get inventory() {
    return implement(InventoryServiceDefinition, {
      listProducts: async () => ({ products: PRODUCTS }),
      reserve: ({ orderId, lines }) =>
        this.#step("reserve", orderId, () => {
          if (this.stock.get(orderId) === "RELEASED") throw refusal("RESERVATION_RELEASED");
          if (lines.some(({ sku }) => sku === "GONE-1")) throw refusal("OUT_OF_STOCK");
          if (!this.stock.has(orderId)) this.stock.set(orderId, "RESERVED");
        }),
      commit: ({ orderId }) =>
        this.#step("commit", orderId, () => {
          if (this.stock.get(orderId) === "RELEASED") throw refusal("RESERVATION_RELEASED");
          this.stock.set(orderId, "COMMITTED");
        }),
      release: ({ orderId }) =>
        this.#step("release", orderId, () => {
          if (this.stock.get(orderId) === "COMMITTED") throw refusal("RESERVATION_COMMITTED");
          this.stock.set(orderId, "RELEASED");
        }),
    });
  }

  get payment() {
    const answer = { payment: undefined };
    return implement(PaymentServiceDefinition, {
      async getPayment() {
        throw new MeshError("not-found", "PAYMENT_UNKNOWN", "");
      },
      charge: async ({ orderId, paymentToken }) => {
        await this.#step("charge", orderId, () => this.#charge(orderId, paymentToken));
        return answer;
      },
      refund: async ({ orderId }) => {
        await this.#step("refund", orderId, () => {
          const status = this.payments.get(orderId);
          if (status === undefined) this.payments.set(orderId, "VOIDED");
          if (status === "CAPTURED") this.payments.set(orderId, "REFUNDED");
        });
        return answer;
      },
    });
  }

  #charge(orderId: string, paymentToken: string): void {
    const status = this.payments.get(orderId);
    if (status === "VOIDED" || status === "REFUNDED") throw refusal("PAYMENT_VOIDED");
    if (status === "CAPTURED") return;
    this.payments.set(orderId, paymentToken === "tok_declined" ? "DECLINED" : "CAPTURED");
    if (paymentToken === "tok_declined") throw refusal("CARD_DECLINED");
    this.captures += 1;
  }

  async #step(step: Step, orderId: string, effect: () => void): Promise<object> {
    this.calls.push(step);
    await this.before[step]?.(orderId);
    effect();
    await this.after[step]?.(orderId);
    return {};
  }
}

function refusal(reason: string): MeshError {
  return new MeshError("precondition", reason, reason);
}

/** Holds whoever waits until it is opened; `reached` resolves when somebody does. */
export class Gate {
  readonly #reached = Promise.withResolvers<void>();
  readonly #opened = Promise.withResolvers<void>();

  get reached(): Promise<void> {
    return this.#reached.promise;
  }

  readonly wait = (): Promise<void> => {
    this.#reached.resolve();
    return this.#opened.promise;
  };

  open(): void {
    this.#opened.resolve();
  }
}
