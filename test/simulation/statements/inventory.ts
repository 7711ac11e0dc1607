/** What the statements of services/inventory/src/stock.ts do, on rows in memory. */
import pg from "pg";
import type { View } from "../memory-tables.ts";
import type { Tables } from "../tables.ts";
import type { Statements } from "./statements.ts";

type Lines = Pick<Tables["reservations"], "skus" | "quantities">;

/** Moves the pieces of each line; rows are locked in the order of their SKU. @throws DatabaseError when pieces are missing */
function move(view: View, lines: Lines, from: "available" | "reserved", to: "available" | "reserved" | "sold"): void {
  for (const sku of lines.skus.toSorted()) {
    const pieces = lines.quantities[lines.skus.indexOf(sku)] ?? 0;
    const change = (row: Tables["stock"]) => ({ ...row, [from]: row[from] - pieces, [to]: row[to] + pieces });
    for (const row of view.update("stock", (other) => other.sku === sku, change)) check(row);
  }
}

function check({ available, reserved }: Tables["stock"]): void {
  if (available >= 0 && reserved >= 0) return;
  const error = new pg.DatabaseError("violates check constraint", 0, "error");
  error.constraint = available < 0 ? "stock_available" : "stock_reserved_check";
  throw error;
}

export const INVENTORY_STATEMENTS: Statements = {
  stock_list: (view) =>
    view
      .rows("products")
      .toSorted((a, b) => (a.sku < b.sku ? -1 : 1))
      .flatMap((product) => {
        const stock = view.find("stock", ({ sku }) => sku === product.sku);
        return stock === undefined ? [] : [{ ...product, available: stock.available }];
      }),
  stock_reserve(view, values) {
    const [order_id, skus, quantities] = values as [string, string[], number[]];
    const sorted = skus.toSorted();
    const locked = sorted.flatMap((sku) => view.lock("stock", (row) => row.sku === sku));
    const known = locked.length === skus.length;
    const made = known && view.insert("reservations", { order_id, state: "RESERVED", skus, quantities });
    if (made) move(view, { skus, quantities }, "available", "reserved");
    return [{ known, made, taken: BigInt(made ? skus.length : 0) }];
  },
  stock_find_reservation: (view, [orderId]) =>
    view
      .rows("reservations")
      .filter(({ order_id }) => order_id === orderId)
      .map(({ state, skus, quantities }) => ({ state, skus, quantities })),
  stock_commit(view, [orderId]) {
    const was = view.rows("reservations").filter(({ order_id }) => order_id === orderId);
    const changed = view.update(
      "reservations",
      ({ order_id, state }) => order_id === orderId && state === "RESERVED",
      (row) => ({ ...row, state: "COMMITTED" }),
    );
    for (const lines of changed) move(view, lines, "reserved", "sold");
    return was.map(({ state }) => ({ state }));
  },
  stock_release(view, values) {
    const [order_id] = values as [string];
    const was = view.find("reservations", (row) => row.order_id === order_id);
    const made = { order_id, state: "RELEASED", skus: [], quantities: [] };
    const changed = view.upsert("reservations", made, (row) =>
      row.state === "RESERVED" ? { ...row, state: "RELEASED" } : undefined,
    );
    if (changed !== undefined) move(view, changed, "reserved", "available");
    return [{ state: was?.state ?? null, changed: changed !== undefined }];
  },
};
