/** OrderService over real gRPC on a real PostgreSQL: accepted orders end, whoever goes on with them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { skipWithoutPostgres as skip } from "@ordermesh/local/under-test";
import { systemClock } from "@ordermesh/mesh/clock";
import { CancelReason, OrderStatus } from "@ordermesh/proto/ordermesh/order/v1/order";
import { newId } from "@ordermesh/runtime/ids";
import type { SagaState } from "../src/saga.ts";
import { declined, outOfStock, unavailable } from "./fake-services.ts";
import { aRequest, eventsOf, FORCE, LEASE_MS, rowsOf, start, TOKENS, untilDecided } from "./order-under-test.ts";

test("a good order is confirmed with four statements and three calls, and tells of it once", { skip }, async (t) => {
  const { db, fakes, metrics, orders } = await start(t, { recovers: false });
  const { order } = await orders.placeOrder(aRequest());
  assert.equal(order?.status, OrderStatus.ORDER_STATUS_CONFIRMED);
  assert.deepEqual(order?.total, { currency: "EUR", minorUnits: 1299n });
  assert.deepEqual(fakes.calls, ["reserve", "charge", "commit"]);
  const text = await metrics.registry.metrics();
  const statements = [...text.matchAll(/db_operation_name="(order_[a-z_]+)"\} (\d+)/g)].filter(
    ([line]) => !line.includes("le="),
  );
  const counted = statements.filter(([line]) =>
    text.includes(`db_client_operation_duration_seconds_count{db_system_name="postgresql",${line}`),
  );
  assert.deepEqual(Object.fromEntries(counted.map(([, name, times]) => [name, Number(times)])), {
    order_accept: 1,
    order_advance: 2,
    order_decide: 1,
  });
  assert.deepEqual(await eventsOf(db, order?.orderId ?? ""), ["ordermesh.order.confirmed.v1"]);
  assert.equal((await db.query<{ tokens: bigint }>(TOKENS))[0]?.tokens, 0n, "the card's token is forgotten");
});

for (const [title, call, failure, reason, calls] of [
  ["declined", "charge", declined, CancelReason.CANCEL_REASON_PAYMENT_DECLINED, ["reserve", "charge", "release"]],
  ["out of stock", "reserve", outOfStock, CancelReason.CANCEL_REASON_OUT_OF_STOCK, ["reserve", "release"]],
] as const)
  test(`an order that is ${title} is cancelled and tells of it once`, { skip }, async (t) => {
    const { db, fakes, orders } = await start(t);
    fakes.before = (made) => (made === call ? failure() : undefined);
    const { order } = await orders.placeOrder(aRequest());
    assert.deepEqual([order?.status, order?.cancelReason], [OrderStatus.ORDER_STATUS_CANCELLED, reason]);
    assert.deepEqual(fakes.calls, calls);
    assert.deepEqual(await eventsOf(db, order?.orderId ?? ""), ["ordermesh.order.cancelled.v1"]);
  });

test("a charge without an answer is asked again, by the same key, until it is known", { skip }, async (t) => {
  const { fakes, orders } = await start(t);
  let failures = 5;
  fakes.after = (made) => (made === "charge" && failures-- > 0 ? unavailable() : undefined);
  const { order } = await orders.placeOrder(aRequest());
  const decided = await untilDecided(orders, order?.orderId ?? "");
  assert.equal(decided.status, OrderStatus.ORDER_STATUS_CONFIRMED);
  assert.equal(fakes.money.get(decided.orderId), "CAPTURED");
});

test("an order that cannot be charged in time is refunded, released and cancelled", { skip }, async (t) => {
  const { fakes, orders } = await start(t, { timeoutMs: 700 });
  fakes.after = (made) => (made === "charge" ? unavailable() : undefined);
  const { order } = await orders.placeOrder(aRequest());
  const decided = await untilDecided(orders, order?.orderId ?? "");
  assert.deepEqual(
    [decided.status, decided.cancelReason],
    [OrderStatus.ORDER_STATUS_CANCELLED, CancelReason.CANCEL_REASON_TIMED_OUT],
  );
  assert.deepEqual([fakes.money.get(decided.orderId), fakes.stock.get(decided.orderId)], ["REFUNDED", "RELEASED"]);
});

for (const call of ["reserve", "charge"])
  test(`cancelled while ${call} is in flight: nothing is kept`, { skip }, async (t) => {
    const { fakes, orders } = await start(t);
    const [begun, goOn] = [Promise.withResolvers<string>(), Promise.withResolvers<void>()];
    fakes.after = async (made, orderId) => {
      if (made !== call) return;
      begun.resolve(orderId);
      await goOn.promise;
    };
    const placing = orders.placeOrder(aRequest());
    const orderId = await begun.promise;
    await orders.cancelOrder({ orderId, customerId: "guest" });
    await orders.cancelOrder({ orderId, customerId: "guest" }); // Asking twice is the same.
    goOn.resolve();
    await placing;
    const decided = await untilDecided(orders, orderId);
    assert.deepEqual(
      [decided.status, decided.cancelReason],
      [OrderStatus.ORDER_STATUS_CANCELLED, CancelReason.CANCEL_REASON_CUSTOMER],
    );
    assert.notEqual(fakes.money.get(orderId), "CAPTURED");
    assert.equal(fakes.stock.get(orderId), "RELEASED");
  });

test("a confirmed order cannot be cancelled", { skip }, async (t) => {
  const { orders } = await start(t);
  const { order } = await orders.placeOrder(aRequest());
  await assert.rejects(orders.cancelOrder({ orderId: order?.orderId ?? "", customerId: "guest" }), {
    kind: "precondition",
    reason: "ORDER_NOT_CANCELLABLE",
  });
});

const ENDS: readonly [SagaState, OrderStatus][] = [
  ["RESERVING", OrderStatus.ORDER_STATUS_CONFIRMED],
  ["CHARGING", OrderStatus.ORDER_STATUS_CONFIRMED],
  ["COMMITTING", OrderStatus.ORDER_STATUS_CONFIRMED],
  ["REFUNDING", OrderStatus.ORDER_STATUS_CANCELLED],
  ["RELEASING", OrderStatus.ORDER_STATUS_CANCELLED],
];
for (const [state, end] of ENDS)
  test(`an order left behind in ${state} is gone on with`, { skip }, async (t) => {
    const { db, store, fakes, orders } = await start(t);
    const orderId = newId(Date.now());
    const line = { sku: "MUG-1", name: "Mug", quantity: 1, unitPriceMinor: "1299" };
    const { shipTo, ...request } = aRequest();
    assert.ok(shipTo);
    await store.accept({
      ...request,
      orderId,
      key: request.idempotencyKey,
      hash: Buffer.alloc(1),
      shipTo,
      lines: [line],
      totalMinor: 1299n,
      currency: "EUR",
      traceparent: "",
      isDriven: false,
    });
    await db.query(FORCE, orderId, state);
    const decided = await untilDecided(orders, orderId);
    assert.equal(decided.status, end);
    assert.equal((await eventsOf(db, orderId)).length, 1);
    if (end === OrderStatus.ORDER_STATUS_CANCELLED) assert.equal(fakes.stock.get(orderId), "RELEASED");
  });

test("one who drives an order after it was taken over changes nothing", { skip }, async (t) => {
  const { store, runner, fakes, orders } = await start(t, { recovers: false });
  fakes.before = (made) => (made === "charge" ? unavailable() : undefined);
  const { order } = await orders.placeOrder(aRequest(), { timeoutMs: 400 });
  await systemClock.sleep(LEASE_MS + 100);
  const [stale] = await store.claim(10);
  assert.ok(stale !== undefined && order !== undefined);
  await systemClock.sleep(LEASE_MS + 100);
  const [current] = await store.claim(10);
  assert.ok(current !== undefined && current.version > stale.version);
  fakes.before = () => undefined;
  const [late, right] = [await runner.drive(stale), await runner.drive(current)];
  assert.equal(late.version, stale.version);
  assert.equal(right.state, "CONFIRMED");
});

test("one hundred sends of one key at once are one order", { skip }, async (t) => {
  const { fakes, orders } = await start(t);
  const request = aRequest();
  const answers = await Promise.all(Array.from({ length: 100 }, () => orders.placeOrder(request)));
  assert.equal(new Set(answers.map(({ order }) => order?.orderId)).size, 1);
  assert.deepEqual(new Set(answers.map(({ order }) => order?.status)), new Set([OrderStatus.ORDER_STATUS_CONFIRMED]));
  assert.equal(fakes.calls.filter((call) => call === "charge").length, 1);
});

test("a key with another body is refused; another customer's same key is another order", { skip }, async (t) => {
  const { orders } = await start(t);
  const request = aRequest({ customerId: "ada" });
  const { order: first } = await orders.placeOrder(request);
  await assert.rejects(orders.placeOrder({ ...request, email: "eve@example.com" }), {
    kind: "invalid",
    reason: "IDEMPOTENCY_KEY_REUSED",
  });
  const { order: second } = await orders.placeOrder({ ...request, customerId: "bob" });
  assert.notEqual(first?.orderId, second?.orderId);
});

test("a refused order leaves no row, and its key can be used again", { skip }, async (t) => {
  const { db, fakes, orders } = await start(t);
  const request = aRequest();
  for (const change of [
    { lines: [{ sku: "NOPE", quantity: 1 }] },
    { email: "nobody" },
    { expectedTotal: { currency: "EUR", minorUnits: 1n } },
    { shipTo: undefined },
  ])
    await assert.rejects(orders.placeOrder({ ...request, ...change }), { kind: "invalid" });
  assert.equal(await rowsOf(db), 0n);
  assert.deepEqual(fakes.calls, []);
  assert.ok((await orders.placeOrder(request)).order);
});

test("someone else's order is not found, like one that does not exist", { skip }, async (t) => {
  const { orders } = await start(t);
  const { order } = await orders.placeOrder(aRequest({ customerId: "ada" }));
  const orderId = order?.orderId ?? "";
  for (const [id, customerId] of [
    [orderId, "eve"],
    [newId(0), "ada"],
    ["../etc/passwd", "ada"],
    ["%00", "ada"],
    ["", "ada"],
  ] as const) {
    await assert.rejects(orders.getOrder({ orderId: id, customerId }), { kind: "not-found", reason: "ORDER_UNKNOWN" });
    await assert.rejects(orders.cancelOrder({ orderId: id, customerId }), {
      kind: "not-found",
      reason: "ORDER_UNKNOWN",
    });
  }
  assert.equal((await orders.getOrder({ orderId, customerId: "ada" })).order?.orderId, orderId);
});

test("a customer's orders are listed newest first, page by page, and a guest's never", { skip }, async (t) => {
  const { orders } = await start(t);
  const placed: string[] = [];
  for (let index = 0; index < 3; index += 1)
    placed.unshift((await orders.placeOrder(aRequest({ customerId: "ada" }))).order?.orderId ?? "");
  await orders.placeOrder(aRequest());
  const first = await orders.listOrders({ customerId: "ada", pageSize: 2, pageToken: "" });
  const second = await orders.listOrders({ customerId: "ada", pageSize: 2, pageToken: first.nextPageToken });
  assert.deepEqual(
    [...first.orders, ...second.orders].map(({ orderId }) => orderId),
    placed,
  );
  assert.equal(second.nextPageToken, "");
  assert.deepEqual((await orders.listOrders({ customerId: "guest", pageSize: 0, pageToken: "" })).orders, []);
  await assert.rejects(orders.listOrders({ customerId: "ada", pageSize: 101, pageToken: "" }), {
    reason: "PAGE_INVALID",
  });
});

test("who follows an order sees each change and the end", { skip }, async (t) => {
  const { fakes, store, db, orders } = await start(t);
  const goOn = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<string>();
  fakes.before = async (made, orderId) => {
    if (made !== "charge") return;
    begun.resolve(orderId);
    await goOn.promise;
  };
  const placing = orders.placeOrder(aRequest());
  const orderId = await begun.promise;
  const statuses: OrderStatus[] = [];
  const following = (async () => {
    for await (const { order } of orders.watchOrder({ orderId, customerId: "guest" }))
      if (order) statuses.push(order.status);
  })();
  goOn.resolve();
  await placing;
  for (const shipment of ["PREPARING", "SHIPPED"] as const)
    await db.transaction((tx) => store.ship([{ orderId, shipment, trackingCode: shipment }], tx));
  await following;
  assert.equal(statuses.at(-1), OrderStatus.ORDER_STATUS_SHIPPED);
  assert.deepEqual(
    statuses,
    statuses.toSorted((a, b) => a - b),
    "only forward",
  );
});
