import assert from "node:assert/strict";
import { test } from "node:test";
import { quantile } from "./load.ts";
import { planOrders } from "./schedule.ts";

const plan = { orders: 2_000, ratePerS: 50, seed: 7, tag: "t", isPlain: false };

test("one seed is one plan, another seed is another", () => {
  assert.deepEqual(planOrders(plan), planOrders(plan));
  assert.notDeepEqual(planOrders(plan), planOrders({ ...plan, seed: 8 }));
});

test("orders come at the asked rate, in time order, each under its own key", () => {
  const orders = planOrders(plan);
  const lastMs = orders.at(-1)?.atMs ?? 0;
  assert.ok(Math.abs(lastMs / 1_000 - plan.orders / plan.ratePerS) < 4, `${lastMs} ms`);
  assert.ok(orders.every(({ atMs }, index) => index === 0 || atMs >= (orders[index - 1]?.atMs ?? 0)));
  assert.equal(new Set(orders.map(({ key }) => key)).size, plan.orders);
});

test("a plan has declines, hanging providers, scarce goods, repeats and reads, and lines without repeated products", () => {
  const orders = planOrders(plan);
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

test("a plain plan has only orders that should be confirmed", () => {
  const orders = planOrders({ ...plan, isPlain: true });
  assert.ok(
    orders.every(({ card, lines }) => card === "tok_visa" && lines.every(({ sku }) => !/GONE|SCARCE/.test(sku))),
  );
});

test("a quantile is the value below which its share lies", () => {
  assert.equal(quantile([], 0.5), 0);
  assert.equal(quantile([4, 1, 3, 2], 0.5), 3);
  assert.equal(quantile([1, 2, 3], 0.99), 3);
});
