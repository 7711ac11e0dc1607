/** What the judge looks at, read from the tables in memory as ledgers.ts reads it from PostgreSQL. */
import type { World } from "@ordermesh/judge/world";
import type { MemoryServer } from "./memory-database.ts";
import type { ServiceName } from "./processes.ts";
import type { Tables } from "./tables.ts";

export function readWorld(servers: Readonly<Record<ServiceName, MemoryServer>>): World {
  const { order, inventory, payment, shipping, notification } = servers;
  const keys = new Map(order.tables.all("idempotency").map(({ order_id, key }) => [order_id, key]));
  const outbox = [order, shipping].flatMap(({ tables }) => tables.all("outbox"));
  const effects = [order, shipping, notification].flatMap(({ tables }) => tables.all("inbox").toSorted(byId));
  const orders = order.tables.all("orders");
  return {
    orders: orders.map(({ order_id, state, total_minor, shipment }) => ({
      orderId: order_id,
      key: keys.get(order_id) ?? "",
      state,
      totalMinor: total_minor,
      shipment,
    })),
    ledger: payment.tables
      .all("ledger")
      .toSorted(byId)
      .map(({ kind, order_id, idempotency_key, amount_minor }) => ({
        kind,
        orderId: order_id,
        key: idempotency_key,
        amountMinor: amount_minor,
      })),
    deliveries: notification.tables
      .all("deliveries")
      .toSorted(byId)
      .map(({ order_id, kind }) => ({ orderId: order_id, kind })),
    stock: inventory.tables.all("stock"),
    confirmedPieces: confirmedPieces(orders),
    unpublished: outbox.filter(({ published_at, parked_reason }) => published_at === null && parked_reason === null)
      .length,
    parked: outbox.filter(({ parked_reason }) => parked_reason !== null).length,
    effects: effects.map(({ consumer, topic, key, sequence, event_id }) => ({
      consumer,
      topic,
      key,
      sequence,
      eventId: event_id,
    })),
    published: outbox
      .filter(({ published_at }) => published_at !== null)
      .map(({ topic, key, sequence }) => `${topic} ${key} ${sequence}`),
  };
}

function confirmedPieces(orders: readonly Tables["orders"][]): Map<string, number> {
  const pieces = new Map<string, number>();
  for (const { state, lines } of orders)
    for (const { sku, quantity } of state === "CONFIRMED" ? lines : [])
      pieces.set(sku, (pieces.get(sku) ?? 0) + quantity);
  return pieces;
}

function byId(a: { readonly id: bigint }, b: { readonly id: bigint }): number {
  return Number(a.id - b.id);
}
