import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { OrderStatus } from "@ordermesh/proto/ordermesh/order/v1/order";
import { newApp } from "./app-under-test.ts";
import { ORDER } from "./visitor.ts";

/** A follower over a real connection; `read` gives what has come since. */
async function follow() {
  const setup = await newApp();
  setup.orders.firstStatus = OrderStatus.ORDER_STATUS_PENDING;
  const address = await setup.app.listen({ port: 0 });
  const placed = await fetch(`${address}/api/orders`, {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": "k" },
    body: JSON.stringify(ORDER),
  });
  const { orderId, links } = (await placed.json()) as { orderId: string; links: { events: string } };
  const leaving = new AbortController();
  const response = await fetch(`${address}${links.events}`, { signal: leaving.signal });
  const chunks = response.body?.pipeThrough(new TextDecoderStream()).getReader() ?? assert.fail("there is no body");
  let heard = "";
  const until = async (text: string) => {
    while (!heard.includes(text)) {
      const { done, value } = await chunks.read();
      if (done) return false;
      heard += value;
    }
    return true;
  };
  return { ...setup, address, orderId, leave: () => leaving.abort(), until };
}

test("every change arrives when it happens", async (t) => {
  const { app, orders, orderId, until } = await follow();
  t.after(() => app.close());
  assert.ok(await until('"status":"PENDING"'));
  orders.change(orderId, { status: OrderStatus.ORDER_STATUS_CONFIRMED });
  assert.ok(await until('"status":"CONFIRMED"'));
  orders.change(orderId, { status: OrderStatus.ORDER_STATUS_SHIPPED });
  assert.ok(await until('"status":"SHIPPED"'));
  assert.equal(await until("never"), false);
});

test("a follower who leaves ends the watch behind it", { timeout: 20_000 }, async (t) => {
  const { app, orders, until, leave } = await follow();
  t.after(() => app.close());
  assert.ok(await until('"status":"PENDING"'));
  assert.equal(orders.watching, 1);
  leave();
  await orders.untilWatching(0);
});

test("a follower does not hold up a shutdown", { timeout: 20_000 }, async () => {
  const { app, orders, until } = await follow();
  assert.ok(await until('"status":"PENDING"'));
  await app.close();
  assert.equal(await until("never"), false);
  assert.equal(orders.watching, 0);
});

test("a connection that never asked for anything does not hold up a shutdown", { timeout: 20_000 }, async () => {
  const { app, address } = await follow();
  const socket = connect(Number(new URL(address).port));
  const [accepted] = await once(app.server, "connection");
  assert.equal(accepted.bytesRead, 0);
  await app.close();
  await once(socket, "close");
});
