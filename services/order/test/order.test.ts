/** OrderService over real gRPC on a real PostgreSQL: accepted orders end, whoever goes on with them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { skipWithoutPostgres as skip } from "@ordermesh/local/under-test";
import { systemClock } from "@ordermesh/mesh/clock";
import { MeshError } from "@ordermesh/mesh/errors";
import { OrderStatus } from "@ordermesh/proto/ordermesh/order/v1/order";
import { request, start } from "./order-with-partners.ts";
import { Gate } from "./partners.ts";

const unavailable = () => {
  throw new MeshError("unavailable", "PROVIDER_UNAVAILABLE", "away");
};

test("a charge without an answer is asked again, by the same key, until it is known", { skip }, async (t) => {
  const { partners, orders, decided } = await start(t);
  let failures = 5;
  partners.after.charge = () => (failures-- > 0 ? unavailable() : undefined);
  const { order } = await orders.placeOrder(request("k1"));
  const { orderId, status } = await decided(order?.orderId ?? "");
  assert.equal(status, OrderStatus.ORDER_STATUS_CONFIRMED);
  assert.equal(partners.payments.get(orderId), "CAPTURED");
  assert.equal(partners.captures, 1);
});

test("an order left behind in REFUNDING is gone on with", { skip }, async (t) => {
  const { partners, orders, rowOf } = await start(t, { leaseMs: 500 });
  const gate = new Gate();
  partners.after.charge = async (orderId) => {
    await orders.cancelOrder({ orderId, customerId: "ada" });
  };
  partners.before.refund = () => {
    delete partners.before.refund; // Only who comes first is held.
    return gate.wait();
  };
  const { order } = await orders.placeOrder(request("k1"), { timeoutMs: 20_000 });
  assert.equal(order?.status, OrderStatus.ORDER_STATUS_CANCELLED);
  assert.deepEqual(
    partners.calls.filter((call) => call === "refund"),
    ["refund", "refund"],
  );
  gate.open();
  assert.equal((await rowOf(order.orderId)).events?.length, 1);
  const { payments, stock } = partners;
  assert.deepEqual([payments.get(order.orderId), stock.get(order.orderId)], ["REFUNDED", "RELEASED"]);
});

test("one who drives an order after it was taken over changes nothing", { skip }, async (t) => {
  const leaseMs = 500;
  const { store, runner, partners, orders } = await start(t, { leaseMs, recovers: false });
  partners.before.charge = unavailable;
  const { order } = await orders.placeOrder(request("k1"), { timeoutMs: 400 });
  await systemClock.sleep(leaseMs + 100);
  const [stale] = await store.claim(10);
  assert.ok(stale !== undefined && order !== undefined);
  await systemClock.sleep(leaseMs + 100);
  const [current] = await store.claim(10);
  assert.ok(current !== undefined && current.version > stale.version);
  delete partners.before.charge;
  const [late, right] = [await runner.drive(stale), await runner.drive(current)];
  assert.equal(late.version, stale.version);
  assert.equal(right.state, "CONFIRMED");
});
