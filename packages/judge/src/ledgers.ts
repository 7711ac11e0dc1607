/** Reads the world from the databases: the authorities of each fact, never a service's opinion of another's. */
import pg from "pg";
import type { Delivery, Effect, LedgerEntry, OrderRecord, StockRecord, World } from "./world.ts";

/** URLs of the services' databases, by service. */
export type Databases = Readonly<Record<string, string>>;

const CONSUMING = ["order", "shipping", "notification"];
const SENDING = ["order", "shipping"];

/** @throws Error when a database cannot be read */
export async function readWorld(databases: Databases): Promise<World> {
  const read = <T>(service: string, text: string) => query<T>(databases, service, text);
  const [orders, pieces, ledger, deliveries, stock, outboxes, effects] = await Promise.all([
    read<OrderRecord>(
      "order",
      `SELECT order_id AS "orderId", key, state, total_minor AS "totalMinor", shipment FROM orders LEFT JOIN idempotency USING (order_id, customer_id)`,
    ),
    read<{ sku: string; pieces: number }>(
      "order",
      "SELECT line->>'sku' AS sku, sum((line->>'quantity')::int)::int AS pieces FROM orders, jsonb_array_elements(lines) AS line WHERE state = 'CONFIRMED' GROUP BY 1",
    ),
    read<LedgerEntry>(
      "payment",
      `SELECT kind, order_id AS "orderId", idempotency_key AS key, amount_minor AS "amountMinor" FROM provider.ledger ORDER BY id`,
    ),
    read<Delivery>("notification", `SELECT order_id AS "orderId", kind FROM mailbox.deliveries ORDER BY id`),
    read<StockRecord>("inventory", "SELECT sku, initial, available, reserved, sold FROM stock"),
    Promise.all(
      SENDING.map((service) =>
        read<{ event: string; isSent: boolean; isParked: boolean }>(
          service,
          `SELECT topic || ' ' || key || ' ' || sequence AS event, published_at IS NOT NULL AS "isSent", parked_reason IS NOT NULL AS "isParked" FROM outbox`,
        ),
      ),
    ),
    Promise.all(
      CONSUMING.map((service) =>
        read<Effect>(service, `SELECT consumer, topic, key, sequence, event_id AS "eventId" FROM inbox ORDER BY id`),
      ),
    ),
  ]);
  const events = outboxes.flat();
  return {
    orders,
    ledger,
    deliveries,
    stock,
    confirmedPieces: new Map(pieces.map(({ sku, pieces: amount }) => [sku, amount])),
    unpublished: events.filter(({ isSent, isParked }) => !isSent && !isParked).length,
    parked: events.filter(({ isParked }) => isParked).length,
    effects: effects.flat(),
    published: events.filter(({ isSent }) => isSent).map(({ event }) => event),
  };
}

async function query<T>(databases: Databases, service: string, text: string): Promise<T[]> {
  const connectionString = databases[service];
  if (connectionString === undefined) throw new Error(`the judge needs the URL of ${service}'s database`);
  const types = new pg.TypeOverrides();
  types.setTypeParser(20, (value: string) => BigInt(value));
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 5_000, types });
  client.on("error", () => undefined); // The query reports it.
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}
