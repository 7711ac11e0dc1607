/** Stock over real gRPC on a real PostgreSQL: never negative, never lost, the same answer when repeated. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import { clientOf, openDatabase, skipWithoutPostgres as skip } from "@ordermesh/local/under-test";
import { InventoryServiceDefinition } from "@ordermesh/proto/ordermesh/inventory/v1/inventory";
import { armFailpoints } from "@ordermesh/runtime/failpoints";
import { sql } from "@ordermesh/runtime/postgres";
import { inventoryService } from "../src/server.ts";
import { Stock } from "../src/stock.ts";

const migrations = [{ dir: new URL("../migrations/", import.meta.url), table: "inventory_migrations" }];
const STOCK = sql("test_stock", "SELECT available, reserved, sold FROM stock WHERE sku = $1");
const ROWS = sql("test_rows", "SELECT count(*) AS rows FROM reservations");

async function start(t: TestContext) {
  const { db } = await openDatabase(t, migrations, 12);
  const inventory = await clientOf(t, InventoryServiceDefinition, inventoryService(new Stock(db)));
  const stockOf = async (sku: string) =>
    (await db.query<{ available: number; reserved: number; sold: number }>(STOCK, sku))[0];
  return { db, inventory, stockOf };
}

const line = (sku: string, quantity = 1) => ({ sku, quantity });

test("there are twelve products, each with a price, one sold out and one scarce", { skip }, async (t) => {
  const { inventory } = await start(t);
  const { products } = await inventory.listProducts({});
  assert.equal(products.length, 12);
  assert.ok(
    products.every(
      ({ price, name, description }) => (price?.minorUnits ?? 0n) > 0n && name !== "" && description !== "",
    ),
  );
  const available = new Map(products.map((product) => [product.sku, product.available]));
  assert.deepEqual([available.get("GONE-1"), available.get("SCARCE-1")], [0, 25]);
});

test("reserve, commit and release move pieces, and repeats move none", { skip }, async (t) => {
  const { inventory, stockOf } = await start(t);
  const [sold, returned] = [randomUUID(), randomUUID()];
  for (let tries = 0; tries < 3; tries += 1) {
    await inventory.reserve({ orderId: sold, lines: [line("SCARCE-1", 2)] });
    await inventory.reserve({ orderId: returned, lines: [line("SCARCE-1", 3)] });
  }
  assert.deepEqual(await stockOf("SCARCE-1"), { available: 20, reserved: 5, sold: 0 });
  for (let tries = 0; tries < 3; tries += 1) {
    await inventory.commit({ orderId: sold });
    await inventory.release({ orderId: returned });
  }
  assert.deepEqual(await stockOf("SCARCE-1"), { available: 23, reserved: 0, sold: 2 });
});

test("one hundred orders for twenty-five pieces: twenty-five get one", { skip }, async (t) => {
  const { inventory, stockOf } = await start(t);
  const answers = await Promise.allSettled(
    Array.from({ length: 100 }, () => inventory.reserve({ orderId: randomUUID(), lines: [line("SCARCE-1")] })),
  );
  assert.equal(answers.filter(({ status }) => status === "fulfilled").length, 25);
  for (const answer of answers) if (answer.status === "rejected") assert.equal(answer.reason.reason, "OUT_OF_STOCK");
  assert.deepEqual(await stockOf("SCARCE-1"), { available: 0, reserved: 25, sold: 0 });
});

test("an order that lacks one line reserves none", { skip }, async (t) => {
  const { inventory, stockOf } = await start(t);
  await assert.rejects(inventory.reserve({ orderId: randomUUID(), lines: [line("SCARCE-1"), line("GONE-1")] }), {
    reason: "OUT_OF_STOCK",
  });
  assert.deepEqual(await stockOf("SCARCE-1"), { available: 25, reserved: 0, sold: 0 });
});

test("orders that name products in opposite order do not wait for each other for ever", { skip }, async (t) => {
  const { inventory } = await start(t);
  const lines = [line("MUG-1"), line("PEN-1"), line("CAP-1")];
  await Promise.all(
    Array.from({ length: 60 }, (_, index) =>
      inventory.reserve({ orderId: randomUUID(), lines: index % 2 === 0 ? lines : lines.toReversed() }),
    ),
  );
});

test("a release without a reservation refuses the reservation that comes late", { skip }, async (t) => {
  const { inventory, stockOf } = await start(t);
  const orderId = randomUUID();
  await inventory.release({ orderId });
  await assert.rejects(inventory.reserve({ orderId, lines: [line("SCARCE-1")] }), { reason: "RESERVATION_RELEASED" });
  await assert.rejects(inventory.commit({ orderId }), { reason: "RESERVATION_RELEASED" });
  assert.equal((await stockOf("SCARCE-1"))?.available, 25);
});

test("a release that comes while the reservation is being made returns every piece", { skip }, async (t) => {
  const { inventory, stockOf } = await start(t);
  await Promise.all(
    Array.from({ length: 60 }, async () => {
      const orderId = randomUUID();
      await Promise.allSettled([
        inventory.reserve({ orderId, lines: [line("CAP-1")] }),
        inventory.release({ orderId }),
      ]);
      await inventory.release({ orderId });
    }),
  );
  assert.deepEqual(await stockOf("CAP-1"), { available: 1_000_000, reserved: 0, sold: 0 });
});

test("what does not fit the state is refused", { skip }, async (t) => {
  const { inventory } = await start(t);
  const orderId = randomUUID();
  await assert.rejects(inventory.commit({ orderId }), { reason: "RESERVATION_UNKNOWN" });
  await inventory.reserve({ orderId, lines: [line("MUG-1")] });
  await assert.rejects(inventory.reserve({ orderId, lines: [line("MUG-1", 2)] }), { reason: "RESERVATION_MISMATCH" });
  await inventory.commit({ orderId });
  await assert.rejects(inventory.release({ orderId }), { reason: "RESERVATION_COMMITTED" });
});

test("a failure while a reservation is being made, and a repeat, reserve once", { skip }, async (t) => {
  const { inventory, stockOf } = await start(t);
  const orderId = randomUUID();
  armFailpoints("inventory.reserveSent=1*error");
  t.after(() => armFailpoints(""));
  await assert.rejects(inventory.reserve({ orderId, lines: [line("SCARCE-1")] }), { kind: "internal" });
  await inventory.reserve({ orderId, lines: [line("SCARCE-1")] });
  assert.equal((await stockOf("SCARCE-1"))?.reserved, 1);
});

test("bad commands are refused with their fields and leave no row", { skip }, async (t) => {
  const { db, inventory } = await start(t);
  const orderId = randomUUID();
  const table = [
    [{ orderId: "", lines: [line("MUG-1")] }, "ORDER_ID_INVALID"],
    [{ orderId: orderId.toUpperCase(), lines: [line("MUG-1")] }, "ORDER_ID_INVALID"],
    [{ orderId, lines: [] }, "STOCK_LINES_INVALID"],
    [{ orderId, lines: [line("MUG-1", 0)] }, "STOCK_LINES_INVALID"],
    [{ orderId, lines: [line("MUG-1", -1)] }, "STOCK_LINES_INVALID"],
    [{ orderId, lines: [line("MUG-1", 2 ** 31 - 1)] }, "STOCK_LINES_INVALID"],
    [{ orderId, lines: [line("MUG-1"), line("MUG-1")] }, "STOCK_LINES_INVALID"],
    [{ orderId, lines: [line("' OR 1=1 --")] }, "STOCK_LINES_INVALID"],
    [{ orderId, lines: Array.from({ length: 101 }, (_, index) => line(`S-${index}`)) }, "STOCK_LINES_INVALID"],
    [{ orderId, lines: [line("NOPE")] }, "SKU_UNKNOWN"],
  ] as const;
  for (const [request, reason] of table)
    await assert.rejects(inventory.reserve({ ...request, lines: [...request.lines] }), { kind: "invalid", reason });
  const [row] = await db.query<{ rows: bigint }>(ROWS);
  assert.equal(row?.rows, 0n);
});
