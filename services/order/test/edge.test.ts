/** OrderService over real gRPC on a real PostgreSQL: one order for a key, nothing for bad input, nobody else's order for anyone. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { skipWithoutPostgres as skip } from "@ordermesh/local/under-test";
import type { MeshError } from "@ordermesh/mesh/errors";
import { ShipmentCreated, ShipmentDispatched } from "@ordermesh/proto/ordermesh/event/v1/event";
import { OrderStatus, type PlaceOrderRequest } from "@ordermesh/proto/ordermesh/order/v1/order";
import { shipmentHandler } from "../src/shipments.ts";
import { request, start } from "./order-with-partners.ts";
import { Gate } from "./partners.ts";

test("one hundred parallel sends of one key are one order and one answer", { skip }, async (t) => {
  const { orders, partners, countRows } = await start(t);
  const answers = await Promise.all(Array.from({ length: 100 }, () => orders.placeOrder(request("k1"))));
  const [first] = answers;
  assert.equal(first?.order?.status, OrderStatus.ORDER_STATUS_CONFIRMED);
  for (const answer of answers) assert.deepEqual(answer, first);
  assert.deepEqual(partners.calls, ["reserve", "charge", "commit"]);
  assert.deepEqual(await countRows(), { orders: 1, keys: 1, events: 1 });
});

test("a key with another body is refused without any effect; another customer's same key is another order", {
  skip,
}, async (t) => {
  const { orders, partners, countRows } = await start(t);
  const first = await orders.placeOrder(request("k1"));
  for (const change of [
    { paymentToken: "tok_other" },
    { lines: [{ sku: "MUG-1", quantity: 3 }] },
    { email: "eve@example.com" },
    { lines: [{ sku: "NOPE", quantity: 1 }] },
  ])
    await assert.rejects(orders.placeOrder(request("k1", change)), {
      kind: "invalid",
      reason: "IDEMPOTENCY_KEY_REUSED",
    });
  assert.deepEqual(await orders.placeOrder(request("k1")), first);
  assert.deepEqual([partners.calls.length, (await countRows()).orders], [3, 1]);
  const other = await orders.placeOrder(request("k1", { customerId: "eve" }));
  assert.notEqual(other.order?.orderId, first.order?.orderId);
});

test("a key whose order was refused can be used again", { skip }, async (t) => {
  const { orders, countRows } = await start(t);
  await assert.rejects(orders.placeOrder(request("k1", { email: "" })), { reason: "ORDER_INVALID" });
  assert.deepEqual(await countRows(), { orders: 0, keys: 0, events: 0 });
  const { order } = await orders.placeOrder(request("k1"));
  assert.equal(order?.status, OrderStatus.ORDER_STATUS_CONFIRMED);
});

const mug = { sku: "MUG-1", quantity: 1 };
const bad: readonly [Partial<PlaceOrderRequest>, string, string][] = [
  [{ idempotencyKey: "" }, "ORDER_INVALID", "idempotency_key"],
  [{ idempotencyKey: "k".repeat(256) }, "ORDER_INVALID", "idempotency_key"],
  [{ customerId: "a\u0000" }, "ORDER_INVALID", "customer_id"],
  [{ email: "nobody" }, "ORDER_INVALID", "email"],
  [{ email: "a\u0000@example.com" }, "ORDER_INVALID", "email"],
  [{ email: `${"e".repeat(900_000)}@example.com` }, "ORDER_INVALID", "email"],
  [{ shipTo: undefined }, "ORDER_INVALID", "ship_to"],
  [{ lines: [] }, "ORDER_INVALID", "lines"],
  [
    { lines: Array.from({ length: 10_001 }, (_, index) => ({ sku: `S-${index}`, quantity: 1 })) },
    "ORDER_INVALID",
    "lines",
  ],
  [{ lines: [mug, mug] }, "ORDER_INVALID", "lines[1].sku"],
  [{ lines: [{ sku: "NOPE", quantity: 1 }] }, "ORDER_INVALID", "lines[0].sku"],
  [{ lines: [{ sku: "MUG-1", quantity: -1 }] }, "ORDER_INVALID", "lines[0].quantity"],
  [{ lines: [{ sku: "MUG-1", quantity: 2 ** 31 - 1 }] }, "ORDER_INVALID", "lines[0].quantity"],
  [{ expectedTotal: { currency: "EUR", minorUnits: 1n } }, "TOTAL_MISMATCH", "expected_total"],
  [{ expectedTotal: { currency: "eur", minorUnits: 2598n } }, "TOTAL_MISMATCH", "expected_total"],
  [{ expectedTotal: { currency: "EUR", minorUnits: -(2n ** 63n) } }, "TOTAL_MISMATCH", "expected_total"],
];

test("bad orders are refused with the field that is wrong, leave no row and make no call", { skip }, async (t) => {
  const { orders, partners, countRows } = await start(t);
  for (const [change, reason, field] of bad)
    await assert.rejects(orders.placeOrder(request("k1", change)), (error: MeshError) => {
      assert.deepEqual(
        [error.kind, error.reason, error.violations.map((item) => item.field)],
        ["invalid", reason, [field]],
      );
      return true;
    });
  assert.deepEqual(await countRows(), { orders: 0, keys: 0, events: 0 });
  assert.deepEqual(partners.calls, []);
});

test("an unknown, misspelt or foreign order is not found, alike for every method", { skip }, async (t) => {
  const { orders } = await start(t);
  const { order } = await orders.placeOrder(request("k1"));
  const cases = [
    [order?.orderId, "eve"],
    [order?.orderId, "guest"],
    [order?.orderId, "ada\u0000"],
    [order?.orderId, ""],
    [order?.orderId.toUpperCase(), "ada"],
    [randomUUID(), "ada"],
    ["../orders", "ada"],
    ["%00", "ada"],
    ["", "ada"],
    ["\u0000", "ada"],
    ["' OR true --", "ada"],
  ] as const;
  const refused = { kind: "not-found", reason: "ORDER_UNKNOWN", message: /there is no such order/ };
  for (const [orderId = "", customerId] of cases) {
    await assert.rejects(orders.getOrder({ orderId, customerId }), refused);
    await assert.rejects(orders.cancelOrder({ orderId, customerId }), refused);
    await assert.rejects(Array.fromAsync(orders.watchOrder({ orderId, customerId })), refused);
  }
  assert.deepEqual((await orders.getOrder({ orderId: order?.orderId ?? "", customerId: "ada" })).order, order);
});

test("a customer's orders come in pages, newest first; a guest has no list, only the order's id", {
  skip,
}, async (t) => {
  const { orders } = await start(t);
  const ids: string[] = [];
  for (const key of ["k1", "k2", "k3"]) ids.unshift((await orders.placeOrder(request(key))).order?.orderId ?? "");
  const { order: ofGuest } = await orders.placeOrder(request("k4", { customerId: "guest" }));
  const first = await orders.listOrders({ customerId: "ada", pageSize: 2, pageToken: "" });
  const second = await orders.listOrders({ customerId: "ada", pageSize: 2, pageToken: first.nextPageToken });
  assert.deepEqual(
    [...first.orders, ...second.orders].map(({ orderId }) => orderId),
    ids,
  );
  assert.equal(second.nextPageToken, "");
  assert.deepEqual((await orders.listOrders({ customerId: "guest", pageSize: 0, pageToken: "" })).orders, []);
  const found = await orders.getOrder({ orderId: ofGuest?.orderId ?? "", customerId: "guest" });
  assert.deepEqual(found.order, ofGuest);
  for (const change of [{ pageSize: -1 }, { pageSize: 101 }, { pageToken: "\u0000" }, { customerId: "\u0000" }])
    await assert.rejects(orders.listOrders({ customerId: "ada", pageSize: 0, pageToken: "", ...change }), {
      reason: "PAGE_INVALID",
    });
});

test("a watcher sees an order pending, confirmed, prepared and shipped, each version once, and then the end", {
  skip,
}, async (t) => {
  const { orders, partners, db, store } = await start(t);
  const gate = new Gate();
  let orderId = "";
  partners.before.charge = (id) => {
    orderId = id;
    return gate.wait();
  };
  const placing = orders.placeOrder(request("k1"));
  await gate.reached;
  const tell = (type: string, sequence: bigint, data: Uint8Array) => {
    const common = { id: randomUUID(), source: "ordermesh/shipping", topic: "shipments", key: orderId, timeMs: 0 };
    const event = { ...common, type, sequence, data, traceparent: "", partition: 0, offset: "0" };
    return db.transaction((tx) => shipmentHandler(store)([event], tx));
  };
  const created = ShipmentCreated.encode({ orderId, sequence: 1n, createdAt: undefined }).finish();
  const dispatched = ShipmentDispatched.encode({
    orderId,
    sequence: 2n,
    dispatchedAt: undefined,
    trackingCode: "TRACK-1",
    email: "ada@example.com",
  }).finish();
  const next: Record<number, () => unknown> = {
    [OrderStatus.ORDER_STATUS_PENDING]: () => gate.open(),
    [OrderStatus.ORDER_STATUS_CONFIRMED]: () => tell("ordermesh.shipment.created.v1", 1n, created),
    [OrderStatus.ORDER_STATUS_PREPARING]: () => tell("ordermesh.shipment.dispatched.v1", 2n, dispatched),
    [OrderStatus.ORDER_STATUS_SHIPPED]: () => tell("ordermesh.shipment.created.v1", 1n, created), // Late: changes nothing.
  };
  const seen: OrderStatus[] = [];
  let version = 0n;
  for await (const { order } of orders.watchOrder({ orderId, customerId: "ada" }, { timeoutMs: 20_000 })) {
    assert.ok(order !== undefined && order.version > version);
    version = order.version;
    if (seen.at(-1) === order.status) continue;
    seen.push(order.status);
    await next[order.status]?.();
  }
  assert.deepEqual(seen, [
    OrderStatus.ORDER_STATUS_PENDING,
    OrderStatus.ORDER_STATUS_CONFIRMED,
    OrderStatus.ORDER_STATUS_PREPARING,
    OrderStatus.ORDER_STATUS_SHIPPED,
  ]);
  const { order } = await orders.getOrder({ orderId, customerId: "ada" });
  assert.deepEqual([order?.status, order?.trackingCode], [OrderStatus.ORDER_STATUS_SHIPPED, "TRACK-1"]);
  await placing;
});

test("when half of its time is over a call answers that the order is pending, and the saga goes on without it", {
  skip,
}, async (t) => {
  const { orders, partners, decided } = await start(t);
  const gate = new Gate();
  partners.after.charge = () => gate.wait();
  const startedMs = performance.now();
  const { order } = await orders.placeOrder(request("k1"), { timeoutMs: 3_000 });
  const tookMs = performance.now() - startedMs;
  assert.equal(order?.status, OrderStatus.ORDER_STATUS_PENDING);
  assert.ok(tookMs > 1_100 && tookMs < 1_800, `half of the time is left for the way back, it took ${tookMs} ms`);
  gate.open();
  assert.equal((await decided(order.orderId)).status, OrderStatus.ORDER_STATUS_CONFIRMED);
  assert.equal(partners.captures, 1);
});

test("a busy database holds up no answer, and what it could not answer in time is refused at once", {
  skip,
}, async (t) => {
  const { orders, partners, db } = await start(t);
  const gate = new Gate();
  partners.after.charge = () => gate.wait();
  const placing = orders.placeOrder(request("k1"), { timeoutMs: 3_000 });
  await gate.reached;
  const nap = { name: "test_nap", text: "SELECT pg_sleep(4)" };
  const naps = Array.from({ length: 8 + 256 }, () => db.query(nap).catch(() => undefined));
  const { order } = await placing;
  assert.equal(order?.status, OrderStatus.ORDER_STATUS_PENDING);
  await Promise.all(naps);
  const more = Array.from({ length: 8 + 256 }, () => db.query(nap).catch(() => undefined));
  await assert.rejects(orders.placeOrder(request("k2")), { kind: "exhausted", reason: "TOO_MANY_ORDERS" });
  gate.open();
  await Promise.all(more);
});

test("an order whose caller hangs up goes on, and the key finds it", { skip }, async (t) => {
  const { orders, partners } = await start(t, { recovers: false });
  const gate = new Gate();
  partners.before.charge = () => gate.wait();
  const hangUp = new AbortController();
  const placing = orders.placeOrder(request("k1"), { signal: hangUp.signal });
  await gate.reached;
  hangUp.abort();
  await assert.rejects(placing, { kind: "cancelled" });
  gate.open();
  const { order } = await orders.placeOrder(request("k1"));
  assert.equal(order?.status, OrderStatus.ORDER_STATUS_CONFIRMED);
  assert.deepEqual(partners.calls, ["reserve", "charge", "commit"]);
});

test("keys older than two days are forgotten, however many there are", { skip }, async (t) => {
  const { db, store, countRows } = await start(t);
  await db.query({
    name: "test_old_keys",
    text: `INSERT INTO idempotency (customer_id, key, request_hash, order_id, created_at)
      SELECT 'ada', n::text, '', gen_random_uuid(), now() - CASE WHEN n <= 2500 THEN interval '49 hours' ELSE interval '47 hours' END
      FROM generate_series(1, 2510) AS n`,
  });
  await store.pruneKeys();
  assert.equal((await countRows()).keys, 10);
});
