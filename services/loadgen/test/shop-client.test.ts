/** What a customer makes of a shop that does not answer, over real connections. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { ShopClient } from "../src/shop-client.ts";

test("a kept connection that is closed as it is used is no lost answer, one that was new is", async (t) => {
  let keeps = true;
  const used = new WeakSet();
  const shop = createServer((request, response) => {
    if (used.has(request.socket) || !keeps) return void request.socket.destroy();
    used.add(request.socket);
    response.writeHead(200, { "content-type": "application/json" }).end('{"orderId":"7","status":"SHIPPED"}');
  }).listen(0, "127.0.0.1");
  await once(shop, "listening");
  const client = new ShopClient(`http://127.0.0.1:${(shop.address() as AddressInfo).port}`);
  t.after(() => client.close());
  const shipped = { phase: "ok", httpStatus: 200, orderId: "7", status: "SHIPPED" };
  assert.deepEqual(await client.read("7"), shipped);
  assert.deepEqual(await client.read("7"), shipped);
  keeps = false;
  assert.deepEqual(await client.read("7"), { phase: "info", reason: "CONNECTION_ECONNRESET" });
  shop.close();
  await once(shop, "close");
  assert.deepEqual(await client.read("7"), { phase: "info", reason: "CONNECTION_ECONNREFUSED" });
});
