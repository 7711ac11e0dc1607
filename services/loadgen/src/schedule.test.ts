import assert from "node:assert/strict";
import { test } from "node:test";
import { quantile } from "./load.ts";
import { type Plan, planOrders } from "./schedule.ts";

const plan: Plan = { seed: 7, tag: "t", orders: "Mixed" };
const take = (orders: number, change: Partial<typeof plan> = {}) =>
  planOrders({ ...plan, ...change })
    .take(orders)
    .toArray();

test("one seed is one plan, another seed is another", () => {
  assert.deepEqual(take(100), take(100));
  assert.notDeepEqual(take(100), take(100, { seed: 8 }));
});

test("pauses are 1 on average and vary as those of independent customers, and each order has its own key", () => {
  const orders = take(20_000);
  const pauses = orders.map(({ pause }) => pause);
  const mean = pauses.reduce((sum, pause) => sum + pause) / pauses.length;
  const variance = pauses.reduce((sum, pause) => sum + (pause - mean) ** 2, 0) / pauses.length;
  assert.ok(Math.abs(mean - 1) < 0.03, `mean ${mean}`);
  assert.ok(Math.abs(variance - 1) < 0.1, `variance ${variance}`);
  assert.equal(new Set(orders.map(({ key }) => key)).size, orders.length);
});

test("a plan has declines, hanging providers, scarce goods, repeats and reads, and lines without repeated products", () => {
  const orders = take(2_000);
  for (const card of ["tok_declined", "tok_timeout_after_charge", "tok_error_after_charge", "tok_slow"])
    assert.ok(
      orders.some((order) => order.card === card),
      card,
    );
  for (const sku of ["GONE-1", "SCARCE-1"])
    assert.ok(
      orders.some(({ lines }) => lines[0]?.sku === sku),
      sku,
    );
  assert.ok(
    orders.some(({ isReplayed }) => isReplayed) &&
      orders.some(({ isReused }) => isReused) &&
      orders.some(({ isRead }) => isRead),
  );
  assert.ok(orders.every(({ lines }) => new Set(lines.map(({ sku }) => sku)).size === lines.length));
});

for (const [orders, wanted] of [
  ["Plain", "tok_visa"],
  ["Slow", "tok_slow"],
] as const)
  test(`a plan of ${orders} orders has only such as should be confirmed, once each`, () => {
    for (const { card, lines, isReplayed, isReused } of take(2_000, { orders })) {
      assert.deepEqual([card, isReplayed, isReused], [wanted, false, false]);
      assert.ok(lines.every(({ sku }) => !/GONE|SCARCE/.test(sku)));
    }
  });

test("a quantile is the value below which its share lies", () => {
  assert.equal(quantile([], 0.5), 0);
  assert.equal(quantile([4, 1, 3, 2], 0.5), 3);
  assert.equal(quantile([1, 2, 3], 0.99), 3);
});
