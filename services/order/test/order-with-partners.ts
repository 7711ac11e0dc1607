/** The order service on a real PostgreSQL, served over real gRPC, with inventory and payment in memory beside it. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { EVENTS_MIGRATIONS, EVENTS_TABLE } from "@ordermesh/events/outbox";
import { clientOf, openDatabase, serve, testLog } from "@ordermesh/local/under-test";
import { systemClock } from "@ordermesh/mesh/clock";
import { InventoryServiceDefinition } from "@ordermesh/proto/ordermesh/inventory/v1/inventory";
import { OrderServiceDefinition, OrderStatus, type PlaceOrderRequest } from "@ordermesh/proto/ordermesh/order/v1/order";
import { PaymentServiceDefinition } from "@ordermesh/proto/ordermesh/payment/v1/payment";
import { sql } from "@ordermesh/runtime/postgres";
import { Catalog } from "../src/catalog.ts";
import { createOrderMetrics } from "../src/metrics.ts";
import { SagaRunner } from "../src/saga-runner.ts";
import { orderService } from "../src/server.ts";
import { OrderStore } from "../src/store.ts";
import { OrderWatch } from "../src/watch.ts";
import { Partners } from "./partners.ts";

const MIGRATIONS = [
  { dir: EVENTS_MIGRATIONS, table: EVENTS_TABLE },
  { dir: new URL("../migrations/", import.meta.url), table: "order_migrations" },
];
const ROW = sql(
  "test_row",
  `SELECT state, cancel_reason, payment_token, (SELECT array_agg(type ORDER BY id) FROM outbox WHERE key = $1::text) AS events,
     (SELECT array_agg(to_state ORDER BY version) FROM saga_log WHERE order_id = $1::uuid) AS states
   FROM orders WHERE order_id = $1::uuid`,
);
const ROWS = sql(
  "test_rows",
  "SELECT (SELECT count(*) FROM orders) AS orders, (SELECT count(*) FROM idempotency) AS keys, (SELECT count(*) FROM outbox) AS events",
);
const DECIDED = new Set<OrderStatus>([OrderStatus.ORDER_STATUS_CONFIRMED, OrderStatus.ORDER_STATUS_CANCELLED]);

type Row = {
  state: string;
  cancel_reason: string | null;
  payment_token: string | null;
  events: string[] | null;
  states: string[];
};
type Options = {
  readonly sagaTimeoutMs?: number;
  readonly leaseMs?: number;
  readonly recovers?: boolean;
  readonly maxDriven?: number;
};

export async function start(
  t: TestContext,
  { sagaTimeoutMs = 60_000, leaseMs = 5_000, recovers = true, maxDriven = 32 }: Options = {},
) {
  const { db, metrics } = await openDatabase(t, MIGRATIONS);
  const partners = new Partners();
  const clients = {
    inventory: (await serve(t, "inventory", [partners.inventory])).client(
      InventoryServiceDefinition,
      "inventory",
      5_000,
    ),
    payment: (await serve(t, "payment", [partners.payment])).client(PaymentServiceDefinition, "payment", 5_000),
  };
  const orderMetrics = createOrderMetrics(metrics.registry);
  const store = new OrderStore(db, leaseMs);
  const common = { ...clients, timeoutMs: sagaTimeoutMs, maxDriven, log: testLog, metrics: orderMetrics };
  const newRunner = () => new SagaRunner({ ...common, store, clock: systemClock, random: Math.random });
  const stopping = new AbortController();
  const recovering: Promise<void>[] = [];
  const recover = (runner: SagaRunner) => void recovering.push(runner.recover(stopping.signal));
  const runner = newRunner();
  if (recovers) recover(runner);
  const watch = new OrderWatch(systemClock);
  watch.listen(db);
  const catalog = new Catalog(clients.inventory, systemClock);
  t.after(() => {
    stopping.abort();
    return Promise.all(recovering);
  });
  const service = orderService({ store, runner, catalog, watch, metrics: orderMetrics, clock: systemClock });
  const orders = await clientOf(t, OrderServiceDefinition, service);
  return {
    db,
    metrics,
    store,
    runner,
    partners,
    orders,
    /** Another process that looks for orders to take over. */
    recoverElsewhere: () => recover(newRunner()),
    rowOf: async (orderId: string) => {
      const [row] = await db.query<Row>(ROW, orderId);
      assert.ok(row !== undefined);
      return row;
    },
    countRows: async () => {
      const [row] = await db.query<{ orders: bigint; keys: bigint; events: bigint }>(ROWS);
      return { orders: Number(row?.orders), keys: Number(row?.keys), events: Number(row?.events) };
    },
    /** Follows the order until it is confirmed or cancelled. */
    decided: async (orderId: string, customerId = "ada") => {
      for await (const { order } of orders.watchOrder({ orderId, customerId }, { timeoutMs: 20_000 }))
        if (order !== undefined && DECIDED.has(order.status)) return order;
      return assert.fail("the order was not decided in time");
    },
  };
}

export function request(key: string, change: Partial<PlaceOrderRequest> = {}): PlaceOrderRequest {
  return {
    idempotencyKey: key,
    customerId: "ada",
    email: "ada@example.com",
    shipTo: {
      name: "Ada Lovelace",
      street: "12 St James Square",
      city: "London",
      postalCode: "SW1Y 4JH",
      country: "GB",
    },
    lines: [{ sku: "MUG-1", quantity: 2 }],
    paymentToken: "tok_visa",
    expectedTotal: undefined,
    ...change,
  };
}
