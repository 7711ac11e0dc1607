/** The storefront's app over the fakes, as its tests use it. */
import { systemClock } from "@ordermesh/mesh/clock";
import { createLogger, type Logger } from "@ordermesh/runtime/log";
import { Counter, Registry } from "prom-client";
import { buildApp } from "../src/app.ts";
import { createStorefrontMetrics } from "../src/metrics.ts";
import { FakeInventory, FakeOrders } from "./fake-services.ts";

const SILENT = createLogger({ service: "storefront", instance: "test", version: "test", level: "silent" });

export async function newApp(inventory = new FakeInventory(), log: Logger = SILENT) {
  const orders = new FakeOrders(inventory);
  const registry = new Registry();
  const bugs = new Counter({ name: "bugs_total", help: "Bugs", registers: [registry] });
  const stop = new AbortController();
  const app = await buildApp({
    orders,
    inventory,
    metrics: createStorefrontMetrics(registry),
    cookieSecret: "a secret of the tests",
    clock: systemClock,
    random: Math.random,
    log,
    bugs,
    stopping: stop.signal,
  });
  return { app, orders, inventory, registry, stop };
}
