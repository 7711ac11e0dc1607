import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@ordermesh/mesh/errors";
import type { PlaceOrderRequest } from "@ordermesh/proto/ordermesh/order/v1/order";
import { priceOrder } from "./catalog.ts";
import { hashRequest, validateOrder } from "./validation.ts";

const shipTo = {
  name: "Ada Lovelace",
  street: "12 St James Square",
  city: "London",
  postalCode: "SW1Y 4JH",
  country: "GB",
};
const good: PlaceOrderRequest = {
  idempotencyKey: "key-1",
  customerId: "guest",
  email: "ada@example.com",
  shipTo,
  lines: [{ sku: "MUG-1", quantity: 1 }],
  paymentToken: "tok_visa",
  expectedTotal: undefined,
};

function fieldsOf(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof MeshError && error.kind === "invalid");
    return error.violations.map(({ field }) => field);
  }
  return [];
}

test("a good order is valid, also with names of other scripts", () => {
  validateOrder(good);
  validateOrder({ ...good, shipTo: { ...shipTo, name: "王小明 d'Àngel O’Brien 🙂", street: "Straße 1/2" } });
});

const bad: readonly [string, Partial<PlaceOrderRequest>, string][] = [
  ["no key", { idempotencyKey: "" }, "idempotency_key"],
  ["a key of 256 characters", { idempotencyKey: "k".repeat(256) }, "idempotency_key"],
  ["a key with a line break", { idempotencyKey: "a\nb" }, "idempotency_key"],
  ["a key that is not ASCII", { idempotencyKey: "schlüssel" }, "idempotency_key"],
  ["a customer id with a path", { customerId: "../other" }, "customer_id"],
  ["an empty e-mail", { email: "" }, "email"],
  ["an e-mail without a domain", { email: "ada@" }, "email"],
  ["an e-mail with a header", { email: "ada@example.com\r\nBcc: all@example.com" }, "email"],
  ["an e-mail with NUL", { email: "a\u0000da@example.com" }, "email"],
  ["an e-mail that is reordered", { email: "\u202eada@example.com" }, "email"],
  ["an e-mail with a zero-width space", { email: "a\u200bda@example.com" }, "email"],
  ["an e-mail of 1 MiB", { email: `${"a".repeat(1 << 20)}@example.com` }, "email"],
  ["a card number", { paymentToken: "4242424242424242" }, "payment_token"],
  ["a card number as a token", { paymentToken: "tok_4242424242424242" }, "payment_token"],
  ["no token", { paymentToken: "" }, "payment_token"],
  ["no lines", { lines: [] }, "lines"],
  ["101 lines", { lines: Array.from({ length: 101 }, (_, index) => ({ sku: `S-${index}`, quantity: 1 })) }, "lines"],
  ["quantity 0", { lines: [{ sku: "MUG-1", quantity: 0 }] }, "lines[0].quantity"],
  ["quantity -1", { lines: [{ sku: "MUG-1", quantity: -1 }] }, "lines[0].quantity"],
  ["quantity 2^31-1", { lines: [{ sku: "MUG-1", quantity: 2 ** 31 - 1 }] }, "lines[0].quantity"],
  [
    "a repeated product",
    {
      lines: [
        { sku: "MUG-1", quantity: 1 },
        { sku: "MUG-1", quantity: 2 },
      ],
    },
    "lines[1].sku",
  ],
  ["a SKU with SQL", { lines: [{ sku: "'; DROP TABLE orders; --", quantity: 1 }] }, "lines[0].sku"],
  ["a SKU in lower case", { lines: [{ sku: "mug-1", quantity: 1 }] }, "lines[0].sku"],
  ["no address", { shipTo: undefined }, "ship_to"],
  ["an empty name", { shipTo: { ...shipTo, name: "  " } }, "ship_to.name"],
  ["a name with NUL", { shipTo: { ...shipTo, name: "Ada\u0000" } }, "ship_to.name"],
  ["a name that is reordered", { shipTo: { ...shipTo, name: "\u202eadA" } }, "ship_to.name"],
  ["a city with a zero-width space", { shipTo: { ...shipTo, city: "Lon\u200bdon" } }, "ship_to.city"],
  ["a street of 201 characters", { shipTo: { ...shipTo, street: "s".repeat(201) } }, "ship_to.street"],
  ["a street with a log line", { shipTo: { ...shipTo, street: 'x\n{"level":"info"}' } }, "ship_to.street"],
  ["a country in lower case", { shipTo: { ...shipTo, country: "gb" } }, "ship_to.country"],
];
for (const [title, change, field] of bad)
  test(`refused: ${title}`, () =>
    assert.deepEqual(
      fieldsOf(() => validateOrder({ ...good, ...change })),
      [field],
    ));

test("all violations are told at once", () => {
  const fields = fieldsOf(() => validateOrder({ ...good, email: "", lines: [{ sku: "", quantity: 0 }] }));
  assert.deepEqual(fields, ["email", "lines[0].sku", "lines[0].quantity"]);
});

test("the hash is the same for the same order, whatever the key and the order of its lines", () => {
  const lines = [
    { sku: "A", quantity: 1 },
    { sku: "B", quantity: 2 },
  ];
  const hash = hashRequest({ ...good, lines });
  assert.deepEqual(hashRequest({ ...good, idempotencyKey: "other", lines: lines.toReversed() }), hash);
  for (const change of [
    { email: "b@example.com" },
    { paymentToken: "tok_other" },
    {
      lines: [
        { sku: "A", quantity: 2 },
        { sku: "B", quantity: 1 },
      ],
    },
  ])
    assert.notDeepEqual(hashRequest({ ...good, lines, ...change }), hash);
});

const product = (sku: string, minorUnits: bigint, currency = "EUR") =>
  [sku, { sku, name: sku, description: "", price: { currency, minorUnits }, available: 1 }] as const;
const products = new Map([
  product("MUG-1", 1299n),
  product("PEN-1", 1850n),
  product("YEN-1", 100n, "JPY"),
  product("GOLD-1", 10n ** 12n),
]);

test("an order costs the sum of its lines", () => {
  const { total, lines } = priceOrder(
    {
      ...good,
      lines: [
        { sku: "MUG-1", quantity: 2 },
        { sku: "PEN-1", quantity: 1 },
      ],
    },
    products,
  );
  assert.deepEqual(total, { currency: "EUR", minorUnits: 4448n });
  assert.deepEqual(lines[1]?.unitPrice, { currency: "EUR", minorUnits: 1850n });
});

for (const [title, change, field] of [
  ["an unknown product", { lines: [{ sku: "NOPE", quantity: 1 }] }, "lines[0].sku"],
  [
    "two currencies",
    {
      lines: [
        { sku: "MUG-1", quantity: 1 },
        { sku: "YEN-1", quantity: 1 },
      ],
    },
    "lines",
  ],
  ["more money than there is", { lines: [{ sku: "GOLD-1", quantity: 1000 }] }, "lines"],
  ["another total than the customer saw", { expectedTotal: { currency: "EUR", minorUnits: 1n } }, "expected_total"],
  [
    "another currency than the customer saw",
    { expectedTotal: { currency: "eur", minorUnits: 1299n } },
    "expected_total",
  ],
] as const)
  test(`not priced: ${title}`, () =>
    assert.deepEqual(
      fieldsOf(() =>
        priceOrder({ ...good, ...change, lines: [...("lines" in change ? change.lines : good.lines)] }, products),
      ),
      [field],
    ));
