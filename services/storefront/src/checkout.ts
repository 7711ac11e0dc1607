/** The checkout form: what it sends, the order that this is, and what the page says when it was not taken. Pure. */
import { isKind, type MeshError } from "@ordermesh/mesh/errors";
import { parseCart } from "./cart.ts";
import type { OrderBody } from "./orders.ts";

const FIELDS = ["email", "name", "street", "city", "postalCode", "country", "paymentToken"] as const;

/** `key` and `lines` travel in the form: sent twice, it is the same order. `total` is what the visitor saw: `EUR 1299`. */
export type CheckoutForm = Readonly<Record<(typeof FIELDS)[number] | "key" | "lines" | "total", string>>;

/** By the name of the field; under `form` what concerns none of them. */
export type FormErrors = Readonly<Record<string, string>>;

export const EMPTY_FORM: CheckoutForm = {
  email: "",
  name: "",
  street: "",
  city: "",
  postalCode: "",
  country: "",
  paymentToken: "tok_visa",
  key: "",
  lines: "",
  total: "",
};

const MAX_FIELD_LENGTH = 2_000;

/** Absent fields are empty, so that the page can say which are missing. */
export const CHECKOUT_SCHEMA = {
  type: "object",
  properties: Object.fromEntries(
    Object.keys(EMPTY_FORM).map((name) => [name, { type: "string", maxLength: MAX_FIELD_LENGTH, default: "" }]),
  ),
};

export function toOrderBody(form: CheckoutForm): OrderBody {
  const { email, name, street, city, postalCode, country, paymentToken } = trimmed(form);
  const [, currency, minorUnits] = /^([A-Z]{3}) (\d{1,13})$/.exec(form.total) ?? [];
  return {
    email,
    shipTo: { name, street, city, postalCode, country },
    lines: parseCart(form.lines),
    paymentToken,
    ...(currency === undefined ? {} : { expectedTotal: { currency, minorUnits: Number(minorUnits) } }),
  };
}

/** What to tell the visitor; undefined for a failure that the form can do nothing about. */
export function toFormErrors(error: unknown): FormErrors | undefined {
  if (isKind(error, "unavailable", "deadline", "exhausted"))
    return { form: "We could not take the order just now. Send it again: it will not be placed twice." };
  if (!isKind(error, "invalid")) return undefined;
  if (error.reason === "TOTAL_MISMATCH")
    return { form: "A price has changed since you looked. Please check the new total before you send it." };
  if (error.reason === "IDEMPOTENCY_KEY_REUSED")
    return {
      form: "An order with other details was placed from this form: see My orders. Send again for another one.",
    };
  const errors = fieldErrors(error);
  return { form: "Please look at the marked fields.", ...errors };
}

/** `ship_to.postal_code` is the field `postalCode`; `lines[0].sku` is none of the form's. */
function fieldErrors({ violations }: MeshError): FormErrors {
  const named = violations.map(({ field, description }) => {
    const name = (field.split(".").at(-1) ?? "").replaceAll(/_(\w)/g, (_match, letter: string) => letter.toUpperCase());
    const isField = !field.startsWith("lines") && FIELDS.some((known) => known === name);
    return isField ? [name, `This ${description}.`] : ["form", "Something in the cart cannot be ordered any more."];
  });
  return Object.fromEntries(named);
}

function trimmed(form: CheckoutForm): CheckoutForm {
  return { ...form, ...Object.fromEntries(FIELDS.map((name) => [name, form[name].trim()])) };
}
