/** Wires the inventory service. */
import { migrate } from "@ordermesh/runtime/migrate";
import { Db } from "@ordermesh/runtime/postgres";
import type { ServiceContext } from "@ordermesh/runtime/service";
import type { SETTINGS } from "./config.ts";
import { inventoryService } from "./server.ts";
import { Stock } from "./stock.ts";

export async function startInventory({
  config,
  log,
  metrics,
  clock,
  random,
  lifecycle,
}: ServiceContext<typeof SETTINGS>) {
  const { postgresUrl: url, postgresPoolSize: poolSize } = config;
  const dir = new URL("../migrations/", import.meta.url);
  await migrate({ url, dir, table: "inventory_migrations", clock, log, signal: lifecycle.stopping });
  const db = new Db({ url, poolSize, log, metrics, clock, random });
  lifecycle.onClose("postgres", () => db.close());
  return [inventoryService(new Stock(db))];
}
