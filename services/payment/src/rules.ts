/** What a valid charge is, and under which key it is known to the provider. Pure. */
import { createHash } from "node:crypto";
import { type FieldViolation, MeshError } from "@ordermesh/mesh/errors";
import type { ChargeRequest } from "@ordermesh/proto/ordermesh/payment/v1/payment";
import { isUuid } from "@ordermesh/runtime/ids";

const MAX_MINOR_UNITS = 10n ** 12n;
const TOKEN = /^[A-Za-z0-9_-]{5,64}$/;
/** Card numbers have 12 to 19 digits in a row; a token never has. */
const CARD_NUMBER = /\d{12}/;
const CURRENCIES = new Set(Intl.supportedValuesOf("currency"));

/** The provider's idempotency key for the one charge of an order. */
export type KeyOf = (orderId: string) => string;

export const chargeKey: KeyOf = (orderId) => `charge:${orderId}`;

export function refundKey(orderId: string): string {
  return `refund:${orderId}`;
}

/** Tells whether two charges name the same card; the token itself is never stored. */
export function hashToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/** @throws MeshError invalid ORDER_ID_INVALID */
export function checkOrderId(orderId: string): void {
  if (isUuid(orderId)) return;
  const violations = [{ field: "order_id", description: "must be a UUID in lower case" }];
  throw new MeshError("invalid", "ORDER_ID_INVALID", "order_id must be a UUID in lower case", { violations });
}

/** @throws MeshError invalid CHARGE_INVALID with every violation */
export function checkCharge({ amount, paymentToken }: ChargeRequest): void {
  const violations: FieldViolation[] = [];
  const minorUnits = amount?.minorUnits ?? 0n;
  if (!CURRENCIES.has(amount?.currency ?? ""))
    violations.push({ field: "amount.currency", description: "must be an ISO 4217 code in upper case" });
  if (minorUnits < 1n || minorUnits > MAX_MINOR_UNITS)
    violations.push({ field: "amount.minor_units", description: `must be 1 to ${MAX_MINOR_UNITS}` });
  if (!TOKEN.test(paymentToken) || CARD_NUMBER.test(paymentToken))
    violations.push({
      field: "payment_token",
      description: "must be a token of the card provider, never a card number",
    });
  if (violations.length > 0)
    throw new MeshError("invalid", "CHARGE_INVALID", "the charge is not valid", { violations });
}
