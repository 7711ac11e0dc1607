/** Rows to messages: the order as its customer sees it, and the events that tell of it. Pure. */
import type { OutboundEvent } from "@ordermesh/events/event";
import { TOPICS } from "@ordermesh/events/topics";
import { OrderCancelled, OrderConfirmed } from "@ordermesh/proto/ordermesh/event/v1/event";
import { CancelReason, type Order, OrderStatus } from "@ordermesh/proto/ordermesh/order/v1/order";
import type { SagaState } from "./saga.ts";
import type { OrderRow } from "./store.ts";

export function toOrder(row: OrderRow): Order {
  return {
    orderId: row.order_id,
    customerId: row.customer_id,
    status: toStatus(row),
    cancelReason:
      row.cancel_reason === null
        ? CancelReason.CANCEL_REASON_UNSPECIFIED
        : CancelReason[`CANCEL_REASON_${row.cancel_reason}`],
    lines: row.lines.map(({ sku, name, quantity, unitPriceMinor }) => ({
      sku,
      name,
      quantity,
      unitPrice: { currency: row.currency, minorUnits: BigInt(unitPriceMinor) },
    })),
    total: { currency: row.currency, minorUnits: row.total_minor },
    placedAt: row.placed_at,
    updatedAt: row.updated_at,
    version: row.version,
    trackingCode: row.tracking_code,
  };
}

function toStatus({ state, shipment }: OrderRow): OrderStatus {
  if (state === "CANCELLED") return OrderStatus.ORDER_STATUS_CANCELLED;
  if (state !== "CONFIRMED") return OrderStatus.ORDER_STATUS_PENDING;
  if (shipment === "SHIPPED") return OrderStatus.ORDER_STATUS_SHIPPED;
  return shipment === "PREPARING" ? OrderStatus.ORDER_STATUS_PREPARING : OrderStatus.ORDER_STATUS_CONFIRMED;
}

/** True when nothing more will happen to the order. */
export function isFinal({ status }: Order): boolean {
  return status === OrderStatus.ORDER_STATUS_SHIPPED || status === OrderStatus.ORDER_STATUS_CANCELLED;
}

/** The event of a decision; undefined for other states. An order has one event on its topic, so its sequence is 1. */
export function toEvent(
  row: OrderRow,
  to: SagaState,
  reason: string | undefined,
  id: string,
  timeMs: number,
): OutboundEvent | undefined {
  const common = {
    id,
    source: "ordermesh/order",
    topic: TOPICS.orders,
    key: row.order_id,
    sequence: 1n,
    timeMs,
    traceparent: row.traceparent,
  };
  const { order_id: orderId, email } = row;
  if (to === "CONFIRMED") {
    const lines = row.lines.map(({ sku, quantity, name }) => ({ sku, quantity, name }));
    const total = { currency: row.currency, minorUnits: row.total_minor };
    const message = { orderId, sequence: 1n, confirmedAt: new Date(timeMs), email, shipTo: row.ship_to, lines, total };
    return { ...common, type: "ordermesh.order.confirmed.v1", data: OrderConfirmed.encode(message).finish() };
  }
  if (to === "CANCELLED") {
    const message = {
      orderId,
      sequence: 1n,
      cancelledAt: new Date(timeMs),
      email,
      reason: row.cancel_reason ?? reason ?? "",
    };
    return { ...common, type: "ordermesh.order.cancelled.v1", data: OrderCancelled.encode(message).finish() };
  }
  return undefined;
}
