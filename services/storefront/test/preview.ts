/** Shows the shop on port 8081 without the rest of the system: orders move along by themselves. For work on the pages. */
import { setTimeout as sleep } from "node:timers/promises";
import { OrderStatus } from "@ordermesh/proto/ordermesh/order/v1/order";
import { newApp } from "./app-under-test.ts";
import { aProduct, FakeInventory } from "./fake-services.ts";

const PORT = 8081;
const STEP_MS = 2_500;
const NAMES =
  "CABLE-1 Braided cable,CAP-1 Captain's cap,GONE-1 First edition,LAMP-1 Desk lamp,MUG-1 Enamel mug,NOTE-1 Dotted notebook,PEN-1 Steel pen,PLANT-1 Desk fern,POSTER-1 Mesh poster,SCARCE-1 Brass paperweight,SOCKS-1 Idempotent socks,TOTE-1 Canvas tote";

const inventory = new FakeInventory();
inventory.products = NAMES.split(",").map((item, index) => {
  const [sku = "", ...name] = item.split(" ");
  const available = sku === "GONE-1" ? 0 : sku === "SCARCE-1" ? 7 : 1_000_000;
  return aProduct(sku, name.join(" "), 990n + BigInt(index) * 310n, available);
});
const { app, orders } = await newApp(inventory);
orders.firstStatus = OrderStatus.ORDER_STATUS_PENDING;
orders.onPlaced = async ({ orderId, status }) => {
  if (status !== OrderStatus.ORDER_STATUS_PENDING) return;
  for (const next of [OrderStatus.ORDER_STATUS_CONFIRMED, OrderStatus.ORDER_STATUS_PREPARING]) {
    await sleep(STEP_MS);
    orders.change(orderId, { status: next });
  }
  await sleep(STEP_MS);
  orders.change(orderId, { status: OrderStatus.ORDER_STATUS_SHIPPED, trackingCode: "OM-7F3A-2210" });
};
process.stdout.write(`${await app.listen({ port: PORT })}\n`);
