/** What a customer makes of a shop that does not answer, over real connections. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { ShopClient } from "../src/shop-client.ts";

test("the record tells a connection that was kept and then closed from one that never was", async (t) => {
  let requests = 0;
  const shop = createServer((request, response) => {
    requests += 1;
    if (requests > 1) request.socket.destroy();
    else response.writeHead(200, { "content-type": "application/json" }).end('{"orderId":"7","status":"SHIPPED"}');
  }).listen(0, "127.0.0.1");
  await once(shop, "listening");
  const client = new ShopClient(`http://127.0.0.1:${(shop.address() as AddressInfo).port}`);
  t.after(() => client.close());
  assert.deepEqual(await client.read("7"), { phase: "ok", httpStatus: 200, orderId: "7", status: "SHIPPED" });
  assert.deepEqual(await client.read("7"), { phase: "info", reason: "KEPT_CONNECTION_ECONNRESET" });
  assert.deepEqual(await client.read("7"), { phase: "info", reason: "CONNECTION_ECONNRESET" });
  shop.close();
  await once(shop, "close");
  assert.deepEqual(await client.read("7"), { phase: "info", reason: "CONNECTION_ECONNREFUSED" });
});
