/** What the migrations put into the tables: the lease of the relay, and products. */
import type { MemoryServer } from "./memory-database.ts";
import { View } from "./memory-tables.ts";

const PRICE_MINOR = 1_299n;

/** `pieces` is by SKU. */
export function seedTables(server: MemoryServer, pieces: Readonly<Record<string, number>>): void {
  const transaction = server.begin();
  const view = new View(server.tables, transaction, undefined);
  view.insert("relay_lease", { is_only: true, holder: "", epoch: 0n, ends_at: -1 });
  for (const [sku, available] of Object.entries(pieces)) {
    view.insert("products", { sku, name: sku, description: "", price_minor: PRICE_MINOR, currency: "EUR" });
    view.insert("stock", { sku, initial: available, available, reserved: 0, sold: 0 });
  }
  view.done();
  server.commit(transaction);
}
