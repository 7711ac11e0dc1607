import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@ordermesh/mesh/errors";
import { ManualClock } from "@ordermesh/mesh/manual-clock";
import type { CallOptions } from "@ordermesh/mesh/service-definition";
import type { PlaceOrderRequest } from "@ordermesh/proto/ordermesh/order/v1/order";
import { Catalog } from "./catalog.ts";

const mug = {
  sku: "MUG-1",
  name: "Mug",
  description: "",
  price: { currency: "EUR", minorUnits: 1_299n },
  available: 5,
};
const order: PlaceOrderRequest = {
  idempotencyKey: "key-1",
  customerId: "guest",
  email: "ada@example.com",
  shipTo: undefined,
  lines: [{ sku: "MUG-1", quantity: 2 }],
  paymentToken: "tok_visa",
  expectedTotal: undefined,
};

/** Inventory that answers after `answerMs`, or misses the call's time-out, a second unless the call says otherwise. */
function inventoryOf(clock: ManualClock, answerMs: number) {
  const inventory = {
    asked: 0,
    answerMs,
    async listProducts(_request: object, { timeoutMs = 1_000 }: CallOptions = {}) {
      inventory.asked += 1;
      await clock.sleep(Math.min(inventory.answerMs, timeoutMs));
      if (inventory.answerMs > timeoutMs) throw new MeshError("deadline", "TRANSPORT_DEADLINE_EXCEEDED", "too late");
      return { products: [mug] };
    },
  };
  return inventory;
}

/** A catalog that has asked inventory beforehand, for as long as it may take. */
async function prepared(answerMs: number) {
  const clock = new ManualClock();
  const inventory = inventoryOf(clock, answerMs);
  const catalog = new Catalog(inventory, clock);
  const preparing = catalog.prepare();
  await clock.advance(3_000);
  await preparing;
  return { clock, inventory, catalog };
}

test("an order waits for the first prices even when inventory takes its time, as on a machine where all starts anew", async () => {
  const clock = new ManualClock();
  const catalog = new Catalog(inventoryOf(clock, 2_500), clock);
  const priced = catalog.price(order);
  await clock.advance(2_500);
  assert.equal((await priced).total.minorUnits, 2_598n);
});

test("with prices asked for beforehand no order waits", async () => {
  const { inventory, catalog } = await prepared(2_500);
  assert.equal((await catalog.price(order)).total.minorUnits, 2_598n);
  assert.equal(inventory.asked, 1);
});

test("inventory that does not answer beforehand holds nothing up, and the first order asks again", async () => {
  const { clock, inventory, catalog } = await prepared(10_000);
  inventory.answerMs = 0;
  const priced = catalog.price(order);
  await clock.advance(0);
  assert.equal((await priced).total.minorUnits, 2_598n);
});
