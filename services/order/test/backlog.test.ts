/** More orders than are driven at the same time: they are accepted and answered all the same, wait in the database, and come in turn. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { skipWithoutPostgres as skip } from "@ordermesh/local/under-test";
import { systemClock } from "@ordermesh/mesh/clock";
import { OrderStatus } from "@ordermesh/proto/ordermesh/order/v1/order";
import { request, start } from "./order-with-partners.ts";
import { Gate } from "./partners.ts";

const { ORDER_STATUS_CONFIRMED: CONFIRMED, ORDER_STATUS_PENDING: PENDING } = OrderStatus;

test("what comes while all places are taken is answered at once, waits in turn, and is driven", { skip }, async (t) => {
  const { orders, partners, decided } = await start(t, { maxDriven: 2 });
  const gates = [new Gate(), new Gate()];
  const reserved: string[] = [];
  partners.before.reserve = (orderId) => gates[reserved.push(orderId) - 1]?.wait();
  const first = [orders.placeOrder(request("k1")), orders.placeOrder(request("k2"))];
  await Promise.all(gates.map(({ reached }) => reached));
  const waiting: string[] = [];
  const startedMs = systemClock.nowMs();
  for (const key of ["k3", "k4", "k5"]) {
    const { order } = await orders.placeOrder(request(key), { timeoutMs: 60_000 });
    assert.equal(order?.status, PENDING);
    waiting.push(order.orderId);
  }
  assert.ok(systemClock.nowMs() - startedMs < 20_000, "three answers in less than half the time of one call");
  assert.equal(reserved.length, 2);
  for (const gate of gates) gate.open();
  for (const { order } of await Promise.all(first)) assert.equal(order?.status, CONFIRMED);
  for (const orderId of waiting) assert.equal((await decided(orderId)).status, CONFIRMED);
  assert.equal(reserved[2], waiting[0], "the one that waits longest is driven first");
});

test("a new order does not overtake those that wait", { skip }, async (t) => {
  const { orders, partners, decided } = await start(t, { maxDriven: 1 });
  const gates = [new Gate(), new Gate()];
  const reserved: string[] = [];
  partners.before.reserve = (orderId) => gates[reserved.push(orderId) - 1]?.wait();
  const first = orders.placeOrder(request("k1"));
  await gates[0]?.reached;
  const { order: second } = await orders.placeOrder(request("k2"));
  gates[0]?.open();
  assert.equal((await first).order?.status, CONFIRMED);
  const { order: third } = await orders.placeOrder(request("k3"));
  await gates[1]?.reached;
  gates[1]?.open();
  for (const order of [second, third]) assert.equal((await decided(order?.orderId ?? "")).status, CONFIRMED);
  assert.deepEqual(reserved.slice(1), [second?.orderId, third?.orderId]);
});

test("an order that its caller asks for again while it waits is answered when it is decided", { skip }, async (t) => {
  const { orders, partners } = await start(t, { maxDriven: 1 });
  const gate = new Gate();
  partners.before.reserve = gate.wait;
  const first = orders.placeOrder(request("k1"));
  await gate.reached;
  const { order } = await orders.placeOrder(request("k2"));
  assert.equal(order?.status, PENDING);
  const again = orders.placeOrder(request("k2"));
  gate.open();
  await first;
  assert.deepEqual([(await again).order?.orderId, (await again).order?.status], [order.orderId, CONFIRMED]);
  assert.equal(partners.captures, 2);
});

test("a process drives more orders at a time while they are decided in time, and fewer when they are late", {
  skip,
}, async (t) => {
  const { orders, partners, decided } = await start(t);
  /** The most orders that are in a step at the same time, of so many, while the step takes so long. */
  const mostAtATime = async (count: number, step: "charge" | "commit", stepMs: number) => {
    const within = new Set<string>();
    let most = 0;
    partners.before[step] = async (orderId) => {
      within.add(orderId);
      most = Math.max(most, within.size);
      await systemClock.sleep(stepMs);
      within.delete(orderId);
    };
    const placing = Array.from({ length: count }, () => orders.placeOrder(request(crypto.randomUUID())));
    for (const { order } of await Promise.all(placing)) await decided(order?.orderId ?? "");
    partners.before[step] = () => undefined;
    return most;
  };
  const inTime = await mostAtATime(120, "charge", 200);
  assert.ok(inTime > 20, `${inTime} at a time`);
  await mostAtATime(32, "charge", 2_500);
  const withSlowProvider = await mostAtATime(40, "charge", 200);
  assert.ok(withSlowProvider > 20, `${withSlowProvider} at a time after the provider was slow`);
  await mostAtATime(32, "commit", 1_200);
  const late = await mostAtATime(20, "charge", 200);
  assert.ok(late < inTime / 2, `${late} at a time after orders were late`);
});
