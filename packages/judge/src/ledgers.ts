/** Reads the world from the databases: the authorities of each fact, never a service's opinion of another's. */
import pg from "pg";
import type { Delivery, Effect, LedgerEntry, OrderRecord, StockRecord, World } from "./world.ts";

/** URLs of the services' databases, by service. */
export type Databases = Readonly<Record<string, string>>;

const CONSUMING = ["order", "shipping", "notification"];
const SENDING = ["order", "shipping"];
/** Clocks of the databases and of who asks may differ by so much. */
export const CLOCK_SKEW_MS = 60_000;
/** What names the orders to which something happened since $1, or is still to happen, by the service whose database knows it. */
const TOUCHED: readonly (readonly [services: readonly string[], text: string])[] = [
  [
    ["order"],
    `SELECT order_id::text AS id FROM orders WHERE placed_at >= $1 OR updated_at >= $1
       OR state NOT IN ('CONFIRMED', 'CANCELLED') OR (state = 'CONFIRMED' AND shipment IS DISTINCT FROM 'SHIPPED')`,
  ],
  [["payment"], "SELECT order_id::text AS id FROM provider.ledger WHERE at >= $1"],
  [["notification"], "SELECT order_id::text AS id FROM mailbox.deliveries WHERE at >= $1"],
  [SENDING, "SELECT key AS id FROM outbox WHERE created_at >= $1 OR published_at >= $1 OR published_at IS NULL"],
  [CONSUMING, "SELECT key AS id FROM inbox WHERE handled_at >= $1"],
];

/** Which orders are looked at: those to which something happened since then or is still to happen, and some by name. */
export type Scope = {
  /** Wall clock, milliseconds since the epoch. */
  readonly sinceMs: number;
  readonly orderIds?: readonly string[];
};

/**
 * All orders, or those of a scope with all of their facts, so that what a judgement takes does not grow with the age of the
 * system. Stock is always that of all orders.
 * @throws Error when a database cannot be read
 */
export async function readWorld(databases: Databases, scope?: Scope): Promise<World> {
  if (scope === undefined) return await readOrders(databases);
  const { sinceMs, orderIds = [] } = scope;
  const since = new Date(sinceMs - CLOCK_SKEW_MS);
  const found = await Promise.all(
    TOUCHED.flatMap(([services, text]) =>
      services.map((service) => query<{ id: string }>(databases, service, text, [since])),
    ),
  );
  return await readOrders(databases, [...new Set([...orderIds, ...found.flat().map(({ id }) => id)])]);
}

async function readOrders(databases: Databases, orderIds?: readonly string[]): Promise<World> {
  const read = <T>(service: string, text: string) => query<T>(databases, service, text);
  const readOwn = <T>(service: string, text: string, orderId: string, order = "") =>
    orderIds === undefined
      ? read<T>(service, `${text} ${order}`)
      : query<T>(databases, service, `${text} WHERE ${orderId} = ANY($1) ${order}`, [orderIds]);
  const [orders, pieces, ledger, deliveries, stock, outboxes, effects] = await Promise.all([
    readOwn<OrderRecord>(
      "order",
      `SELECT order_id AS "orderId", key, state, total_minor AS "totalMinor", shipment FROM orders LEFT JOIN idempotency USING (order_id, customer_id)`,
      "order_id",
    ),
    read<{ sku: string; pieces: number }>(
      "order",
      "SELECT line->>'sku' AS sku, sum((line->>'quantity')::int)::int AS pieces FROM orders, jsonb_array_elements(lines) AS line WHERE state = 'CONFIRMED' GROUP BY 1",
    ),
    readOwn<LedgerEntry>(
      "payment",
      `SELECT kind, order_id AS "orderId", idempotency_key AS key, amount_minor AS "amountMinor" FROM provider.ledger`,
      "order_id",
      "ORDER BY id",
    ),
    readOwn<Delivery>(
      "notification",
      `SELECT order_id AS "orderId", kind FROM mailbox.deliveries`,
      "order_id",
      "ORDER BY id",
    ),
    read<StockRecord>("inventory", "SELECT sku, initial, available, reserved, sold FROM stock"),
    Promise.all(
      SENDING.map((service) =>
        readOwn<{ event: string; isSent: boolean; isParked: boolean }>(
          service,
          `SELECT topic || ' ' || key || ' ' || sequence AS event, published_at IS NOT NULL AS "isSent", parked_reason IS NOT NULL AS "isParked" FROM outbox`,
          "key",
        ),
      ),
    ),
    Promise.all(
      CONSUMING.map((service) =>
        readOwn<Effect>(
          service,
          `SELECT consumer, topic, key, sequence, event_id AS "eventId" FROM inbox`,
          "key",
          "ORDER BY id",
        ),
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

async function query<T>(databases: Databases, service: string, text: string, values: unknown[] = []): Promise<T[]> {
  const connectionString = databases[service];
  if (connectionString === undefined) throw new Error(`the judge needs the URL of ${service}'s database`);
  const types = new pg.TypeOverrides();
  types.setTypeParser(20, (value: string) => BigInt(value));
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 5_000, types });
  client.on("error", () => undefined); // The query reports it.
  await client.connect();
  try {
    return (await client.query(text, values)).rows;
  } finally {
    await client.end();
  }
}
