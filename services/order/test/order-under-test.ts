/** The order service over a real database, with inventory and payment in memory: for its tests. */
import type { TestContext } from "node:test";
import { EVENTS_MIGRATIONS, EVENTS_TABLE } from "@ordermesh/events/outbox";
import { clientOf, openDatabase, serve, testLog } from "@ordermesh/local/under-test";
import { systemClock } from "@ordermesh/mesh/clock";
import { InventoryServiceDefinition } from "@ordermesh/proto/ordermesh/inventory/v1/inventory";
import { OrderServiceDefinition, OrderStatus, type PlaceOrderRequest } from "@ordermesh/proto/ordermesh/order/v1/order";
import { PaymentServiceDefinition } from "@ordermesh/proto/ordermesh/payment/v1/payment";
import { type Db, sql } from "@ordermesh/runtime/postgres";
import { Catalog } from "../src/catalog.ts";
import { createOrderMetrics } from "../src/metrics.ts";
import { SagaRunner } from "../src/saga-runner.ts";
import { orderService } from "../src/server.ts";
import { OrderStore } from "../src/store.ts";
import { OrderWatch } from "../src/watch.ts";
import { FakeServices } from "./fake-services.ts";

const migrations = [
  { dir: EVENTS_MIGRATIONS, table: EVENTS_TABLE },
  { dir: new URL("../migrations/", import.meta.url), table: "order_migrations" },
];
const EVENTS = sql("test_events", "SELECT type FROM outbox WHERE key = $1");
const ROWS = sql(
  "test_rows",
  "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM idempotency) + (SELECT count(*) FROM outbox) AS rows",
);
export const FORCE = sql(
  "test_force",
  "UPDATE orders SET state = $2, lease_until = now() - interval '1 second' WHERE order_id = $1",
);
export const TOKENS = sql(
  "test_tokens",
  "SELECT count(payment_token) AS tokens FROM orders WHERE state IN ('CONFIRMED', 'CANCELLED')",
);
export const LEASE_MS = 500;

export async function start(t: TestContext, { timeoutMs = 60_000, recovers = true } = {}) {
  const { db, metrics } = await openDatabase(t, migrations);
  const fakes = new FakeServices();
  const mesh = await serve(t, "fakes", fakes.services);
  const inventory = mesh.client(InventoryServiceDefinition, "fakes", 5_000);
  const payment = mesh.client(PaymentServiceDefinition, "fakes", 5_000);
  const store = new OrderStore(db, LEASE_MS);
  const orderMetrics = createOrderMetrics(metrics.registry);
  const runner = new SagaRunner({
    store,
    inventory,
    payment,
    timeoutMs,
    maxDriven: 32,
    log: testLog,
    metrics: orderMetrics,
    clock: systemClock,
    random: Math.random,
  });
  const watch = new OrderWatch(systemClock);
  watch.listen(db);
  const stop = new AbortController();
  const recovering = recovers ? runner.recover(stop.signal) : Promise.resolve();
  t.after(async () => {
    stop.abort();
    await recovering;
  });
  const service = orderService({
    store,
    runner,
    catalog: new Catalog(inventory, systemClock),
    watch,
    metrics: orderMetrics,
    clock: systemClock,
  });
  return { db, store, runner, fakes, metrics, orders: await clientOf(t, OrderServiceDefinition, service) };
}

let nextKey = 0;
export function aRequest(change: Partial<PlaceOrderRequest> = {}): PlaceOrderRequest {
  return {
    idempotencyKey: `key-${nextKey++}`,
    customerId: "guest",
    email: "ada@example.com",
    shipTo: { name: "Ada", street: "12 St James Square", city: "London", postalCode: "SW1Y 4JH", country: "GB" },
    lines: [{ sku: "MUG-1", quantity: 1 }],
    paymentToken: "tok_visa",
    expectedTotal: undefined,
    ...change,
  };
}

type Orders = Awaited<ReturnType<typeof start>>["orders"];

export async function untilDecided(orders: Orders, orderId: string) {
  for (let tries = 0; tries < 200; tries += 1) {
    const { order } = await orders.getOrder({ orderId, customerId: "guest" });
    if (order !== undefined && order.status !== OrderStatus.ORDER_STATUS_PENDING) return order;
    await systemClock.sleep(25);
  }
  throw new Error("the order was not decided");
}

export const eventsOf = async (db: Db, orderId: string) =>
  (await db.query<{ type: string }>(EVENTS, orderId)).map(({ type }) => type);
export const rowsOf = async (db: Db) => (await db.query<{ rows: bigint }>(ROWS))[0]?.rows;
