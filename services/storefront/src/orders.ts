/** Orders and products between the wire's messages and the API's JSON. Pure. */
import type { Product } from "@ordermesh/proto/ordermesh/inventory/v1/inventory";
import type { Money } from "@ordermesh/proto/ordermesh/money/v1/money";
import {
  CancelReason,
  type Order,
  OrderStatus,
  type PlaceOrderRequest,
} from "@ordermesh/proto/ordermesh/order/v1/order";

export type MoneyJson = { readonly currency: string; readonly minorUnits: number };
export type Status = "PENDING" | "CONFIRMED" | "PREPARING" | "SHIPPED" | "CANCELLED";
export type LineJson = {
  readonly sku: string;
  readonly name: string;
  readonly quantity: number;
  readonly unitPrice: MoneyJson;
};
export type OrderJson = {
  readonly orderId: string;
  readonly status: Status;
  readonly cancelReason?: string;
  readonly lines: readonly LineJson[];
  readonly total: MoneyJson;
  readonly placedAt: string;
  readonly updatedAt: string;
  readonly version: number;
  readonly trackingCode?: string;
  readonly links: { readonly self: string; readonly events: string; readonly page: string };
};

/** The body of `POST /api/orders`, as its schema has checked it. */
export type OrderBody = {
  readonly email: string;
  readonly shipTo: {
    readonly name: string;
    readonly street: string;
    readonly city: string;
    readonly postalCode: string;
    readonly country: string;
  };
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
  readonly paymentToken: string;
  readonly expectedTotal?: MoneyJson;
};

const STATUS_NAMES = new Map<number, Status>([
  [OrderStatus.ORDER_STATUS_PENDING, "PENDING"],
  [OrderStatus.ORDER_STATUS_CONFIRMED, "CONFIRMED"],
  [OrderStatus.ORDER_STATUS_PREPARING, "PREPARING"],
  [OrderStatus.ORDER_STATUS_SHIPPED, "SHIPPED"],
  [OrderStatus.ORDER_STATUS_CANCELLED, "CANCELLED"],
]);
const REASON_NAMES = new Map<number, string>([
  [CancelReason.CANCEL_REASON_PAYMENT_DECLINED, "PAYMENT_DECLINED"],
  [CancelReason.CANCEL_REASON_OUT_OF_STOCK, "OUT_OF_STOCK"],
  [CancelReason.CANCEL_REASON_CUSTOMER, "CUSTOMER"],
  [CancelReason.CANCEL_REASON_TIMED_OUT, "TIMED_OUT"],
]);

export function toJson(order: Order): OrderJson {
  const self = `/api/orders/${order.orderId}`;
  const cancelReason = REASON_NAMES.get(order.cancelReason);
  return {
    orderId: order.orderId,
    status: STATUS_NAMES.get(order.status) ?? "PENDING",
    ...(cancelReason === undefined ? {} : { cancelReason }),
    lines: order.lines.map(({ sku, name, quantity, unitPrice }) => ({
      sku,
      name,
      quantity,
      unitPrice: toMoneyJson(unitPrice),
    })),
    total: toMoneyJson(order.total),
    placedAt: (order.placedAt ?? new Date(0)).toISOString(),
    updatedAt: (order.updatedAt ?? new Date(0)).toISOString(),
    version: Number(order.version),
    ...(order.trackingCode === "" ? {} : { trackingCode: order.trackingCode }),
    links: { self, events: `${self}/events`, page: `/orders/${order.orderId}` },
  };
}

export function toPlaceOrder(body: OrderBody, idempotencyKey: string, customerId: string): PlaceOrderRequest {
  const { email, shipTo, lines, paymentToken, expectedTotal } = body;
  const total = expectedTotal && { currency: expectedTotal.currency, minorUnits: BigInt(expectedTotal.minorUnits) };
  return { idempotencyKey, customerId, email, shipTo, lines: [...lines], paymentToken, expectedTotal: total };
}

export function toProductJson({ sku, name, description, price, available }: Product) {
  return { sku, name, description, price: toMoneyJson(price), available };
}

export function isFinal({ status }: OrderJson): boolean {
  return status === "SHIPPED" || status === "CANCELLED";
}

/** Amounts of money that orders have fit into a double without loss. */
function toMoneyJson(money: Money | undefined): MoneyJson {
  return { currency: money?.currency ?? "", minorUnits: Number(money?.minorUnits ?? 0n) };
}
