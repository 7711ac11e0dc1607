/** Wires the storefront. */
import { randomBytes } from "node:crypto";
import { InventoryServiceDefinition } from "@ordermesh/proto/ordermesh/inventory/v1/inventory";
import { OrderServiceDefinition } from "@ordermesh/proto/ordermesh/order/v1/order";
import type { ServiceContext } from "@ordermesh/runtime/service";
import { buildApp } from "./app.ts";
import type { SETTINGS } from "./config.ts";
import { createStorefrontMetrics } from "./metrics.ts";

export async function startStorefront({
  config,
  log,
  metrics,
  clock,
  random,
  mesh,
  lifecycle,
}: ServiceContext<typeof SETTINGS>) {
  if (config.cookieSecret === "") log.warn("sessions and carts end with this process: MESH_COOKIE_SECRET is not set");
  const app = await buildApp({
    orders: mesh.client(OrderServiceDefinition, "order"),
    inventory: mesh.client(InventoryServiceDefinition, "inventory"),
    metrics: createStorefrontMetrics(metrics.registry),
    cookieSecret: config.cookieSecret || randomBytes(32).toString("hex"),
    clock,
    random,
    log,
    bugs: metrics.bugs,
    stopping: lifecycle.stopping,
  });
  lifecycle.onDrain("http", () => app.close());
  await app.listen({ host: config.httpHost, port: config.httpPort });
  return [];
}
