/** JSON schemas of the API: they check requests, serialise answers and make the OpenAPI document. */

const text = (maxLength: number) => ({ type: "string", minLength: 1, maxLength }) as const;
const object = <P extends object>(properties: P, required: readonly string[]) =>
  ({ type: "object", additionalProperties: false, properties, required }) as const;

const money = object(
  { currency: { type: "string", pattern: "^[A-Z]{3}$" }, minorUnits: { type: "integer", minimum: 0, maximum: 1e12 } },
  ["currency", "minorUnits"],
);
const line = object({ sku: text(64), quantity: { type: "integer", minimum: 1, maximum: 1000 } }, ["sku", "quantity"]);
const address = object(
  { name: text(200), street: text(200), city: text(100), postalCode: text(20), country: text(2) },
  ["name", "street", "city", "postalCode", "country"],
);

export const ORDER_BODY = object(
  {
    email: text(254),
    shipTo: address,
    lines: { type: "array", minItems: 1, maxItems: 100, items: line },
    paymentToken: {
      ...text(64),
      description: "A token of the card provider: tok_visa pays, tok_declined is declined.",
    },
    expectedTotal: money,
  },
  ["email", "shipTo", "lines", "paymentToken"],
);

const link = { type: "string" } as const;
export const ORDER = object(
  {
    orderId: { type: "string", format: "uuid" },
    status: { type: "string", enum: ["PENDING", "CONFIRMED", "PREPARING", "SHIPPED", "CANCELLED"] },
    cancelReason: { type: "string", enum: ["PAYMENT_DECLINED", "OUT_OF_STOCK", "CUSTOMER", "TIMED_OUT"] },
    lines: {
      type: "array",
      items: object({ sku: text(64), name: { type: "string" }, quantity: { type: "integer" }, unitPrice: money }, [
        "sku",
        "name",
        "quantity",
        "unitPrice",
      ]),
    },
    total: money,
    placedAt: { type: "string" },
    updatedAt: { type: "string" },
    version: { type: "integer" },
    trackingCode: { type: "string" },
    links: object({ self: link, events: link, page: link }, ["self", "events", "page"]),
  },
  ["orderId", "status", "lines", "total", "placedAt", "updatedAt", "version", "links"],
);

export const PRODUCTS = object(
  {
    products: {
      type: "array",
      items: object(
        {
          sku: text(64),
          name: { type: "string" },
          description: { type: "string" },
          price: money,
          available: { type: "integer" },
        },
        ["sku", "name", "description", "price", "available"],
      ),
    },
  },
  ["products"],
);

export const ORDERS = object({ orders: { type: "array", items: ORDER } }, ["orders"]);

const PROBLEM = {
  type: "object",
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    reason: { type: "string", description: "Stable identifier, see docs/errors.md" },
    violations: {
      type: "array",
      items: object({ field: { type: "string" }, description: { type: "string" } }, ["field", "description"]),
    },
    traceId: { type: "string" },
  },
  required: ["type", "title", "status", "detail", "reason", "traceId"],
} as const;
const problem = (description: string) => ({
  description,
  content: { "application/problem+json": { schema: PROBLEM } },
});

/** What every route may answer instead. */
export const PROBLEMS = {
  "4xx": problem("The request was refused; RFC 9457 problem details"),
  "5xx": problem("The shop could not answer; RFC 9457 problem details"),
};

export const KEY_HEADERS = {
  type: "object",
  properties: {
    "idempotency-key": {
      type: "string",
      pattern: "^[\\x20-\\x7e]{1,255}$",
      description: "1 to 255 printable characters, the same for every try of one order",
    },
  },
  required: ["idempotency-key"],
} as const;

export const ORDER_ID = object({ orderId: text(64) }, ["orderId"]);

/** A form of the shop; forms send text. */
export const CART_ITEM = {
  type: "object",
  properties: {
    sku: { type: "string", pattern: "^[A-Z0-9-]{1,64}$" },
    quantity: { type: "string", pattern: "^\\d{1,2}$" },
  },
  required: ["sku"],
} as const;
