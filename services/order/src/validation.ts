/** What a valid order is: all violations at once, by the path of their field. Pure. */
import { createHash } from "node:crypto";
import { type FieldViolation, MeshError } from "@ordermesh/mesh/errors";
import { type Address, PlaceOrderRequest } from "@ordermesh/proto/ordermesh/order/v1/order";

const MAX_LINES = 100;
const MAX_QUANTITY = 1_000;
const KEY = /^[\x20-\x7e]{1,255}$/;
const CUSTOMER = /^[A-Za-z0-9_-]{1,64}$/;
const EMAIL =
  /^[^\s@<>()[\]\\,;:"]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+$/;
const SKU = /^[A-Z0-9-]{1,64}$/;
const TOKEN = /^tok_[A-Za-z0-9_]{1,60}$/;
/** Card numbers have 12 to 19 digits in a row; a token never has. */
const CARD_NUMBER = /\d{12}/;
const COUNTRY = /^[A-Z]{2}$/;
/** Control characters, and those that hide or reorder text: zero-width ones and bidirectional overrides. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

type Check = { readonly field: string; readonly isValid: boolean; readonly description: string };

/** @throws MeshError invalid ORDER_INVALID with every violation */
export function validateOrder(request: PlaceOrderRequest): void {
  const checks: Check[] = [
    check("idempotency_key", KEY.test(request.idempotencyKey), "must be 1 to 255 printable ASCII characters"),
    check("customer_id", isCustomerId(request.customerId), "must be 1 to 64 letters, digits, - or _"),
    check(
      "email",
      request.email.length <= 254 && EMAIL.test(request.email) && !UNPRINTABLE.test(request.email),
      "must be an e-mail address of at most 254 characters",
    ),
    check(
      "payment_token",
      TOKEN.test(request.paymentToken) && !CARD_NUMBER.test(request.paymentToken),
      "must be a token of the card provider (tok_…), never a card number",
    ),
    check("lines", request.lines.length >= 1 && request.lines.length <= MAX_LINES, `must have 1 to ${MAX_LINES} lines`),
    ...checkAddress(request.shipTo),
    ...checkLines(request),
  ];
  const violations: FieldViolation[] = checks
    .filter(({ isValid }) => !isValid)
    .map(({ field, description }) => ({ field, description }));
  if (violations.length > 0) throw new MeshError("invalid", "ORDER_INVALID", "the order is not valid", { violations });
}

export function isCustomerId(text: string): boolean {
  return CUSTOMER.test(text);
}

/** Tells two requests apart that use one key; the same order gives the same hash. */
export function hashRequest(request: PlaceOrderRequest): Buffer {
  const lines = request.lines.toSorted((a, b) => (a.sku < b.sku ? -1 : 1));
  return createHash("sha256")
    .update(PlaceOrderRequest.encode({ ...request, idempotencyKey: "", lines }).finish())
    .digest();
}

function checkAddress(address: Address | undefined): Check[] {
  if (address === undefined) return [check("ship_to", false, "must be given")];
  const line = (field: string, value: string, max: number) =>
    check(
      `ship_to.${field}`,
      value.trim() !== "" && value.length <= max && !UNPRINTABLE.test(value),
      `must be 1 to ${max} printable characters`,
    );
  return [
    line("name", address.name, 200),
    line("street", address.street, 200),
    line("city", address.city, 100),
    line("postal_code", address.postalCode, 20),
    check("ship_to.country", COUNTRY.test(address.country), "must be an ISO 3166-1 alpha-2 code in upper case"),
  ];
}

function checkLines({ lines }: PlaceOrderRequest): Check[] {
  const seen = new Set<string>();
  return lines.slice(0, MAX_LINES).flatMap(({ sku, quantity }, index) => {
    const isRepeated = seen.has(sku);
    seen.add(sku);
    return [
      check(`lines[${index}].sku`, SKU.test(sku), "must be 1 to 64 of A-Z, 0-9 and -"),
      check(`lines[${index}].sku`, !isRepeated, "must not repeat an earlier line"),
      check(`lines[${index}].quantity`, quantity >= 1 && quantity <= MAX_QUANTITY, `must be 1 to ${MAX_QUANTITY}`),
    ];
  });
}

function check(field: string, isValid: boolean, description: string): Check {
  return { field, isValid, description };
}
