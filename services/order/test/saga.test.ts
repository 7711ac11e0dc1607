/** Sagas over real gRPC on a real PostgreSQL: whatever is declined, lost, cancelled or dies, money and stock end where they belong. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { skipWithoutPostgres as skip } from "@ordermesh/local/under-test";
import { MeshError } from "@ordermesh/mesh/errors";
import { CancelReason, OrderStatus } from "@ordermesh/proto/ordermesh/order/v1/order";
import type { Step } from "../src/saga.ts";
import { request, start } from "./order-with-partners.ts";
import { Gate, type Partners } from "./partners.ts";

const CONFIRMED = "ordermesh.order.confirmed.v1";
const CANCELLED = "ordermesh.order.cancelled.v1";
const failure = (kind: "deadline" | "precondition", reason: string) => () => {
  throw new MeshError(kind, reason, reason);
};
/** The first time only; repeats go through. */
const once = (hook: (orderId: string) => Promise<void> | void) => {
  let isFirst = true;
  return (orderId: string) => {
    if (!isFirst) return;
    isFirst = false;
    return hook(orderId);
  };
};
const holdings = ({ payments, stock }: Partners, orderId: string) => [payments.get(orderId), stock.get(orderId)];

test("a good order is four statements, three calls and one event", { skip }, async (t) => {
  const { orders, partners, metrics, rowOf } = await start(t, { recovers: false });
  const { order } = await orders.placeOrder(request("k1"));
  assert.equal(order?.status, OrderStatus.ORDER_STATUS_CONFIRMED);
  assert.deepEqual(order.total, { currency: "EUR", minorUnits: 2598n });
  assert.deepEqual(partners.calls, ["reserve", "charge", "commit"]);
  assert.deepEqual(await rowOf(order.orderId), {
    state: "CONFIRMED",
    cancel_reason: null,
    payment_token: null,
    events: [CONFIRMED],
    states: ["RESERVING", "CHARGING", "COMMITTING", "CONFIRMED"],
  });
  const { values } = await metrics.dbOperations.get();
  const statements = values.filter(
    ({ metricName, labels }) => metricName?.endsWith("_count") && String(labels.db_operation_name).startsWith("order_"),
  );
  assert.deepEqual(statements.map(({ labels, value }) => [labels.db_operation_name, value]).sort(), [
    ["order_accept", 1],
    ["order_advance", 2],
    ["order_decide", 1],
  ]);
});

for (const [title, change, reason, calls, held] of [
  [
    "declined card",
    { paymentToken: "tok_declined" },
    "PAYMENT_DECLINED",
    ["reserve", "charge", "release"],
    ["DECLINED", "RELEASED"],
  ],
  [
    "sold-out product",
    { lines: [{ sku: "GONE-1", quantity: 1 }] },
    "OUT_OF_STOCK",
    ["reserve", "release"],
    [undefined, "RELEASED"],
  ],
] as const)
  test(`a ${title} cancels the order in the same call and holds nothing`, { skip }, async (t) => {
    const { orders, partners, rowOf } = await start(t, { recovers: false });
    const { order } = await orders.placeOrder(request("k1", structuredClone(change) as object));
    assert.equal(order?.status, OrderStatus.ORDER_STATUS_CANCELLED);
    assert.equal(order.cancelReason, CancelReason[`CANCEL_REASON_${reason}`]);
    assert.deepEqual(partners.calls, calls);
    assert.deepEqual(holdings(partners, order.orderId), held);
    const { events, payment_token } = await rowOf(order.orderId);
    assert.deepEqual([events, payment_token], [[CANCELLED], null]);
  });

for (const when of ["before", "after"] as const)
  for (const step of ["reserve", "charge", "commit"] as const)
    test(`a ${step} whose answer is lost ${when} its effect is asked again and has its effect once`, {
      skip,
    }, async (t) => {
      const { orders, partners, decided } = await start(t);
      partners[when][step] = once(failure("deadline", "DEADLINE_EXCEEDED"));
      const { order } = await orders.placeOrder(request("k1"));
      assert.equal((await decided(order?.orderId ?? "")).status, OrderStatus.ORDER_STATUS_CONFIRMED);
      assert.equal(partners.captures, 1);
      assert.equal(partners.calls.filter((call) => call === step).length, 2);
    });

for (const [when, held] of [
  ["before", ["VOIDED", "RELEASED"]],
  ["after", ["REFUNDED", "RELEASED"]],
] as const)
  test(`an order whose charge is never answered, ${when} its effect, times out without the money`, {
    skip,
  }, async (t) => {
    const { orders, partners, decided, rowOf } = await start(t, { sagaTimeoutMs: 300 });
    partners[when].charge = failure("deadline", "DEADLINE_EXCEEDED");
    const { order } = await orders.placeOrder(request("k1"));
    const { cancelReason } = await decided(order?.orderId ?? "");
    assert.equal(cancelReason, CancelReason.CANCEL_REASON_TIMED_OUT);
    assert.deepEqual(holdings(partners, order?.orderId ?? ""), held);
    assert.deepEqual((await rowOf(order?.orderId ?? "")).states.slice(-3), ["REFUNDING", "RELEASING", "CANCELLED"]);
  });

for (const [when, step, held] of [
  ["before", "reserve", [undefined, "RELEASED"]],
  ["after", "reserve", [undefined, "RELEASED"]],
  ["before", "charge", ["VOIDED", "RELEASED"]],
  ["after", "charge", ["REFUNDED", "RELEASED"]],
] as const)
  test(`cancelled ${when} the effect of its ${step}, an order holds nothing when it is cancelled`, {
    skip,
  }, async (t) => {
    const { orders, partners, decided, rowOf } = await start(t);
    const gate = new Gate();
    let orderId = "";
    partners[when][step] = (id) => {
      orderId = id;
      return gate.wait();
    };
    const placing = orders.placeOrder(request("k1"));
    await gate.reached;
    await orders.cancelOrder({ orderId, customerId: "ada" });
    await orders.cancelOrder({ orderId, customerId: "ada" }); // Asking again is no mistake.
    const { cancelReason } = await decided(orderId);
    gate.open();
    assert.equal((await placing).order?.status, OrderStatus.ORDER_STATUS_CANCELLED);
    assert.equal(cancelReason, CancelReason.CANCEL_REASON_CUSTOMER);
    assert.deepEqual(holdings(partners, orderId), held);
    assert.deepEqual((await rowOf(orderId)).events, [CANCELLED]);
    await orders.cancelOrder({ orderId, customerId: "ada" });
  });

test("once it is charged an order cannot be cancelled", { skip }, async (t) => {
  const { orders, partners } = await start(t);
  const gate = new Gate();
  let orderId = "";
  partners.before.commit = (id) => {
    orderId = id;
    return gate.wait();
  };
  const placing = orders.placeOrder(request("k1"));
  await gate.reached;
  const refused = { kind: "precondition", reason: "ORDER_NOT_CANCELLABLE" };
  await assert.rejects(orders.cancelOrder({ orderId, customerId: "ada" }), refused);
  gate.open();
  assert.equal((await placing).order?.status, OrderStatus.ORDER_STATUS_CONFIRMED);
  await assert.rejects(orders.cancelOrder({ orderId, customerId: "ada" }), refused);
});

for (const [step, paymentToken, end, held] of [
  ["reserve", "tok_visa", "CONFIRMED", ["CAPTURED", "COMMITTED"]],
  ["charge", "tok_visa", "CONFIRMED", ["CAPTURED", "COMMITTED"]],
  ["commit", "tok_visa", "CONFIRMED", ["CAPTURED", "COMMITTED"]],
  ["release", "tok_declined", "CANCELLED", ["DECLINED", "RELEASED"]],
] as const satisfies readonly (readonly [Step, string, string, readonly string[]])[])
  for (const when of ["before", "after"] as const)
    test(`an order left ${when} the effect of its ${step} is taken over, and whoever left it cannot go on`, {
      skip,
    }, async (t) => {
      const { orders, partners, decided, rowOf, recoverElsewhere } = await start(t, { leaseMs: 200, recovers: false });
      const gate = new Gate();
      let orderId = "";
      partners[when][step] = once((id) => {
        orderId = id;
        return gate.wait();
      });
      // At half of its time a call is answered with the order as it is: no sooner than `decided` gives up, however slow the machine.
      const placing = orders.placeOrder(request("k1", { paymentToken }), { timeoutMs: 60_000 });
      await gate.reached;
      recoverElsewhere();
      const decidedAs = await decided(orderId);
      const atDecision = await rowOf(orderId);
      assert.equal(atDecision.state, end);
      gate.open();
      assert.equal((await placing).order?.status, decidedAs.status);
      assert.deepEqual(await rowOf(orderId), atDecision);
      assert.equal(atDecision.events?.length, 1);
      assert.deepEqual(holdings(partners, orderId), held);
      assert.ok(partners.captures <= 1);
    });

test("an order that cannot be committed needs attention and is never silently cancelled", { skip }, async (t) => {
  const { orders, partners, rowOf, store } = await start(t);
  partners.before.commit = failure("precondition", "RESERVATION_UNKNOWN");
  const { order } = await orders.placeOrder(request("k1"));
  assert.equal(order?.status, OrderStatus.ORDER_STATUS_PENDING);
  assert.equal((await rowOf(order.orderId)).state, "NEEDS_ATTENTION");
  assert.equal((await store.measure()).stuck, 1);
});
