import assert from "node:assert/strict";
import { test } from "node:test";
import { type ErrorKind, MeshError } from "@ordermesh/mesh/errors";
import { EMPTY_FORM, toFormErrors, toOrderBody } from "./checkout.ts";

const ADA = {
  email: " ada@example.com ",
  name: "Ada Lovelace",
  street: "12 St James Square",
  city: "London\t",
  postalCode: "SW1Y 4JH",
  country: "GB",
  paymentToken: "tok_visa",
};

test("a form is the order that its visitor saw", () => {
  const form = { ...EMPTY_FORM, ...ADA, key: "k", lines: "MUG-1:2.PEN-1:1", total: "EUR 4448" };
  assert.deepEqual(toOrderBody(form), {
    email: "ada@example.com",
    shipTo: {
      name: "Ada Lovelace",
      street: "12 St James Square",
      city: "London",
      postalCode: "SW1Y 4JH",
      country: "GB",
    },
    lines: [
      { sku: "MUG-1", quantity: 2 },
      { sku: "PEN-1", quantity: 1 },
    ],
    paymentToken: "tok_visa",
    expectedTotal: { currency: "EUR", minorUnits: 4448 },
  });
});

test("a total that cannot be read is left out", () => {
  for (const total of ["", "EUR", "eur 12", "EUR -1", "EUR 1.5", "EUR 99999999999999"])
    assert.equal(toOrderBody({ ...EMPTY_FORM, total }).expectedTotal, undefined, total);
});

test("violations go to their fields, the others above the form", () => {
  const violations = [
    { field: "ship_to.postal_code", description: "must be short" },
    { field: "email", description: "must be an e-mail address" },
    { field: "lines[0].sku", description: "is no product" },
  ];
  const errors = toFormErrors(new MeshError("invalid", "ORDER_INVALID", "the order is not valid", { violations }));
  assert.equal(errors?.postalCode, "This must be short.");
  assert.equal(errors?.email, "This must be an e-mail address.");
  assert.match(errors?.form ?? "", /cart/);
  assert.deepEqual(Object.keys(errors ?? {}).sort(), ["email", "form", "postalCode"]);
});

test("the form says what to do about each failure, and leaves the others to the problem page", () => {
  const cases: [ErrorKind, string, RegExp | undefined][] = [
    ["invalid", "TOTAL_MISMATCH", /price has changed/],
    ["invalid", "IDEMPOTENCY_KEY_REUSED", /My orders/],
    ["invalid", "ORDER_INVALID", /marked fields/],
    ["unavailable", "NO_ENDPOINTS", /not be placed twice/],
    ["deadline", "DEADLINE_EXCEEDED", /not be placed twice/],
    ["exhausted", "TOO_MANY_ORDERS", /not be placed twice/],
    ["internal", "TRANSPORT_INTERNAL", undefined],
  ];
  for (const [kind, reason, expected] of cases) {
    const errors = toFormErrors(new MeshError(kind, reason, "so it is"));
    if (expected === undefined) assert.equal(errors, undefined, reason);
    else assert.match(errors?.form ?? "", expected, reason);
  }
  assert.equal(toFormErrors(new Error("a bug")), undefined);
});
