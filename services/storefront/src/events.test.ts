import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@ordermesh/mesh/errors";
import { type Order, OrderStatus } from "@ordermesh/proto/ordermesh/order/v1/order";
import { createLogger } from "@ordermesh/runtime/log";
import { newApp } from "../test/app-under-test.ts";
import { FakeInventory } from "../test/fake-services.ts";
import { ORDER } from "../test/visitor.ts";

const SHIPPED: Partial<Order> = { status: OrderStatus.ORDER_STATUS_SHIPPED, trackingCode: "OM-1" };
const UNAVAILABLE = new MeshError("unavailable", "NO_ENDPOINTS", "no endpoint of order is registered");

/** An app with an order that is PENDING, version 1. */
async function withOrder(log = createLogger({ service: "s", instance: "t", version: "t", level: "silent" })) {
  const setup = await newApp(new FakeInventory(), log);
  setup.orders.firstStatus = OrderStatus.ORDER_STATUS_PENDING;
  const headers = { "idempotency-key": "k" };
  const placed = await setup.app.inject({ method: "POST", url: "/api/orders", payload: ORDER, headers });
  const orderId: string = placed.json().orderId;
  const follow = (lastEventId?: string) =>
    setup.app.inject({
      url: `/api/orders/${orderId}/events`,
      headers: lastEventId === undefined ? {} : { "last-event-id": lastEventId },
    });
  const change = (fields: Partial<Order>) => setup.orders.change(orderId, fields);
  return { ...setup, orderId, follow, change };
}

/** `id status` of each event. */
function eventsIn(body: string): string[] {
  return body
    .split("\n\n")
    .map((block) => /^event: order\nid: (\d+)\ndata: (.+)$/.exec(block))
    .flatMap((match) => (match === null ? [] : [`${match[1]} ${JSON.parse(match[2] ?? "").status}`]));
}

test("a stream tells how the order is, then every change, and ends with the last", async () => {
  const { orders, follow, change } = await withOrder();
  const answer = follow();
  await orders.untilWatching(1);
  change({ status: OrderStatus.ORDER_STATUS_CONFIRMED });
  change({ status: OrderStatus.ORDER_STATUS_PREPARING });
  change(SHIPPED);
  const { statusCode, headers, body } = await answer;
  assert.equal(statusCode, 200);
  assert.equal(headers["content-type"], "text/event-stream; charset=utf-8");
  assert.equal(headers["cache-control"], "no-store");
  assert.equal(headers["x-content-type-options"], "nosniff");
  assert.match(body, /^retry: 1000\n\n/);
  assert.deepEqual(eventsIn(body), ["1 PENDING", "2 CONFIRMED", "3 PREPARING", "4 SHIPPED"]);
  assert.match(body, /"trackingCode":"OM-1"/);
  assert.equal(orders.watching, 0);
});

test("a follower who comes back hears only what is new, and the end in any case", async () => {
  const cases: [string, string[]][] = [
    ["2", ["3 PREPARING", "4 SHIPPED"]],
    ["3", ["4 SHIPPED"]],
    ["4", ["4 SHIPPED"]],
    ["99", ["4 SHIPPED"]],
    ["nonsense", ["2 CONFIRMED", "3 PREPARING", "4 SHIPPED"]],
    ["-1", ["2 CONFIRMED", "3 PREPARING", "4 SHIPPED"]],
  ];
  for (const [lastEventId, expected] of cases) {
    const { orders, follow, change } = await withOrder();
    change({ status: OrderStatus.ORDER_STATUS_CONFIRMED });
    const answer = follow(lastEventId);
    await orders.untilWatching(1);
    change({ status: OrderStatus.ORDER_STATUS_PREPARING });
    change(SHIPPED);
    assert.deepEqual(eventsIn((await answer).body), expected, `Last-Event-ID: ${lastEventId}`);
  }
});

test("what cannot be followed is a problem, not a stream", async () => {
  const { app, orders, follow } = await withOrder();
  const unknown = await app.inject("/api/orders/unknown/events");
  assert.deepEqual([unknown.statusCode, unknown.json().reason], [404, "ORDER_UNKNOWN"]);
  orders.failure = UNAVAILABLE;
  const unavailable = await follow();
  assert.deepEqual([unavailable.statusCode, unavailable.headers["retry-after"]], [503, "1"]);
  assert.equal((await app.inject({ method: "HEAD", url: "/api/orders/unknown/events" })).statusCode, 404);
  assert.equal(orders.watching, 0);
});

test("a stream that breaks ends, and the order goes on in the next one", async () => {
  const { orders, follow, change } = await withOrder();
  const answer = follow();
  await orders.untilWatching(1);
  change({ status: OrderStatus.ORDER_STATUS_CONFIRMED });
  orders.fail(UNAVAILABLE);
  const { body } = await answer;
  orders.failure = undefined;
  const seen = eventsIn(body).at(-1)?.split(" ")[0];
  const next = follow(seen);
  await orders.untilWatching(1);
  change(SHIPPED);
  assert.deepEqual(eventsIn((await next).body).at(-1), "3 SHIPPED");
});

test("a stream that breaks is logged when a bug broke it", async () => {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLogger({ service: "s", instance: "t", version: "t", level: "debug", destination });
  for (const [error, logged] of [[UNAVAILABLE, 0] as const, [new TypeError("a bug"), 1] as const]) {
    const { orders, follow } = await withOrder(log);
    const answer = follow();
    await orders.untilWatching(1);
    orders.fail(error);
    await answer;
    assert.equal(lines.length, logged);
  }
  assert.match(lines[0] ?? "", /a bug/);
});

test("a quiet stream says every 15 seconds that it is there", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const { orders, follow, change } = await withOrder();
  const answer = follow();
  await orders.untilWatching(1);
  t.mock.timers.tick(30_000);
  change(SHIPPED);
  assert.equal((await answer).body.match(/^: still here$/gm)?.length, 2);
});

test("there are 500 streams at most, and closing ends them all", async () => {
  const { app, orders, follow, registry } = await withOrder();
  const open = Array.from({ length: 500 }, () => follow());
  await orders.untilWatching(500);
  assert.match(await registry.metrics(), /storefront_open_streams 500/);
  const refused = await follow();
  assert.deepEqual([refused.statusCode, refused.json().reason], [503, "TOO_MANY_STREAMS"]);
  await app.close();
  for (const { body } of await Promise.all(open)) assert.deepEqual(eventsIn(body), ["1 PENDING"]);
  assert.equal(orders.watching, 0);
  assert.match(await registry.metrics(), /storefront_open_streams 0/);
});
