import assert from "node:assert/strict";
import { test } from "node:test";
import { serviceOf, whyNotServer } from "./identity.ts";

const PAYMENT = "URI:spiffe://shop/service/payment";

for (const [names, service] of [
  [PAYMENT, "payment"],
  [`DNS:payment.example, ${PAYMENT}`, "payment"],
  ["DNS:payment.shop", "payment"],
  ["DNS:payment.shop, DNS:order.shop", undefined],
  ["DNS:payment.shop, URI:spiffe://other/service/payment", undefined],
  ["DNS:payment.other", undefined],
  ["DNS:.shop", undefined],
  ["DNS:a.payment.shop", undefined],
  ["URI:spiffe://other/service/payment", undefined],
  ["URI:spiffe://shop/service/", undefined],
  ["URI:spiffe://shop/service/Payment", undefined],
  ["URI:spiffe://shop/service/payment/x", undefined],
  ["URI:https://shop/service/payment", undefined],
  ["DNS:spiffe://shop/service/payment", undefined],
  [`${PAYMENT}, URI:spiffe://shop/service/order`, undefined],
  [`DNS:"x, ${PAYMENT}"`, undefined],
  ["", undefined],
  [undefined, undefined],
] as const)
  test(`the names ${JSON.stringify(names)} are of ${service ?? "nobody"}`, () =>
    assert.equal(serviceOf(names, "shop"), service));

test("a server must be the service that is called", () => {
  const source = { trustDomain: "shop" } as never;
  assert.equal(whyNotServer({ source, service: "payment" }, { subjectaltname: PAYMENT }), undefined);
  assert.match(
    String(whyNotServer({ source, service: "order" }, { subjectaltname: PAYMENT })),
    /is payment and not order/,
  );
  assert.match(String(whyNotServer({ source, service: "order" }, {})), /nobody of this mesh/);
});
