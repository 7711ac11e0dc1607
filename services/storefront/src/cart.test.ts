import assert from "node:assert/strict";
import { test } from "node:test";
import { addOne, formatCart, parseCart, setQuantity } from "./cart.ts";

const FULL = Array.from({ length: 20 }, (_, index) => ({ sku: `P-${index}`, quantity: 1 }));

test("a cart survives being written and read", () => {
  const lines = [
    { sku: "MUG-1", quantity: 2 },
    { sku: "SOCKS-1", quantity: 99 },
  ];
  assert.deepEqual(parseCart(formatCart(lines)), lines);
});

test("what is no item of a cart is left out", () => {
  for (const item of ["", "MUG-1", "MUG-1:0", "MUG-1:100", "MUG-1:-1", "mug-1:1", "<b>:1", `${"A".repeat(65)}:1`])
    assert.deepEqual(parseCart(`${item}.PEN-1:3`), [{ sku: "PEN-1", quantity: 3 }], item);
});

test("a cart holds 20 products of 99 pieces", () => {
  assert.equal(parseCart(`${formatCart(FULL)}.MUG-1:1`).length, 20);
  assert.deepEqual(addOne(FULL, "MUG-1"), FULL);
  assert.deepEqual(addOne([{ sku: "MUG-1", quantity: 99 }], "MUG-1"), [{ sku: "MUG-1", quantity: 99 }]);
});

test("quantities change in place, and none takes the product out", () => {
  const lines = addOne(addOne(addOne([], "MUG-1"), "PEN-1"), "MUG-1");
  assert.equal(formatCart(lines), "MUG-1:2.PEN-1:1");
  assert.equal(formatCart(setQuantity(lines, "MUG-1", 7)), "MUG-1:7.PEN-1:1");
  assert.equal(formatCart(setQuantity(lines, "MUG-1", 0)), "PEN-1:1");
});
