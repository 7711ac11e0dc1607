import assert from "node:assert/strict";
import { test } from "node:test";
import { type ErrorKind, MeshError } from "@ordermesh/mesh/errors";
import { OrderStatus } from "@ordermesh/proto/ordermesh/order/v1/order";
import { newApp } from "../test/app-under-test.ts";
import { assertDescribed } from "../test/described.ts";
import { ORDER, Visitor } from "../test/visitor.ts";

const KEY = { "idempotency-key": "key-1" };

type Setup = Awaited<ReturnType<typeof newApp>>;

function place({ app }: Setup, payload: object | string = ORDER, headers: Record<string, string> = KEY) {
  const all = { "content-type": "application/json", ...headers };
  return app.inject({ method: "POST", url: "/api/orders", payload, headers: all });
}

test("a placed order is answered with itself and its address", async () => {
  const setup = await newApp();
  const response = await place(setup);
  const order = response.json();
  assert.equal(response.statusCode, 201);
  assert.equal(response.headers.location, `/api/orders/${order.orderId}`);
  await assertDescribed(setup.app, "post /api/orders", response);
  assert.deepEqual(order, {
    orderId: order.orderId,
    status: "CONFIRMED",
    lines: [{ sku: "MUG-1", name: "Enamel mug", quantity: 2, unitPrice: { currency: "EUR", minorUnits: 1299 } }],
    total: { currency: "EUR", minorUnits: 2598 },
    placedAt: "2026-01-02T03:04:05.000Z",
    updatedAt: "2026-01-02T03:04:05.000Z",
    version: 1,
    links: {
      self: `/api/orders/${order.orderId}`,
      events: `/api/orders/${order.orderId}/events`,
      page: `/orders/${order.orderId}`,
    },
  });
  const [call] = setup.orders.placed;
  assert.equal(call?.options.timeoutMs, 7_000);
  assert.deepEqual(call?.request, {
    ...ORDER,
    idempotencyKey: "key-1",
    customerId: "guest",
    expectedTotal: { currency: "EUR", minorUnits: 2598n },
  });
});

test("an order that is still open is 202, a cancelled one 201 with its reason", async () => {
  const setup = await newApp();
  setup.orders.firstStatus = OrderStatus.ORDER_STATUS_PENDING;
  const open = await place(setup);
  assert.deepEqual([open.statusCode, open.json().status], [202, "PENDING"]);
  await assertDescribed(setup.app, "post /api/orders", open);
  const declined = await place(setup, { ...ORDER, paymentToken: "tok_declined" }, { "idempotency-key": "key-2" });
  const { status, cancelReason } = declined.json();
  assert.deepEqual([declined.statusCode, status, cancelReason], [201, "CANCELLED", "PAYMENT_DECLINED"]);
  await assertDescribed(setup.app, "post /api/orders", declined);
});

test("one key is one order, and another body under it is refused", async () => {
  const setup = await newApp();
  const [first, again] = [await place(setup), await place(setup)];
  assert.equal(again.body, first.body);
  const other = await place(setup, { ...ORDER, email: "eve@example.com" });
  assert.equal(other.statusCode, 400);
  const { reason, violations } = other.json();
  assert.deepEqual([reason, violations[0].field], ["IDEMPOTENCY_KEY_REUSED", "Idempotency-Key"]);
});

test("what is no order is refused before anybody is asked", async () => {
  const line = (fields: object) => ({ ...ORDER, lines: [{ sku: "MUG-1", quantity: 1, ...fields }] });
  const raw = (quantity: string) => JSON.stringify(line({})).replace('"quantity":1', `"quantity":${quantity}`);
  const total = (fields: object) => ({ ...ORDER, expectedTotal: { currency: "EUR", minorUnits: 1, ...fields } });
  const long = "x".repeat(1024 * 1024);
  const cases: [string, object | string, number, string, string?][] = [
    ["not JSON", "{", 400, "REQUEST_UNREADABLE"],
    ["nothing", "", 400, "REQUEST_UNREADABLE"],
    ["null", "null", 400, "REQUEST_INVALID", "body"],
    ["an array", [], 400, "REQUEST_INVALID", "body"],
    ["no e-mail", { ...ORDER, email: undefined }, 400, "REQUEST_INVALID", "email"],
    ["e-mail as number", { ...ORDER, email: 1 }, 400, "REQUEST_INVALID", "email"],
    ["an unknown field", { ...ORDER, price: 1 }, 400, "REQUEST_INVALID", "price"],
    ["an unknown field of a line", line({ price: 1 }), 400, "REQUEST_INVALID", "lines[0].price"],
    ["no lines", { ...ORDER, lines: [] }, 400, "REQUEST_INVALID", "lines"],
    ["101 lines", { ...ORDER, lines: Array(101).fill(ORDER.lines[0]) }, 400, "REQUEST_INVALID", "lines"],
    ["10,000 empty lines", { ...ORDER, lines: Array(10_000).fill(0) }, 400, "REQUEST_INVALID", "lines"],
    ...["0", "-1", "1001", "1.5", "2147483648", "9007199254740993", "1e400", "NaN", '"1"', "null", "true"].map(
      (quantity): [string, string, number, string] => [
        `quantity ${quantity}`,
        raw(quantity),
        400,
        quantity === "NaN" ? "REQUEST_UNREADABLE" : "REQUEST_INVALID",
      ],
    ),
    ["SKU of 65 characters", line({ sku: "A".repeat(65) }), 400, "REQUEST_INVALID", "lines[0].sku"],
    ["currency in lower case", total({ currency: "eur" }), 400, "REQUEST_INVALID", "expectedTotal.currency"],
    ["negative total", total({ minorUnits: -1 }), 400, "REQUEST_INVALID", "expectedTotal.minorUnits"],
    ["total over the limit", total({ minorUnits: 1e13 }), 400, "REQUEST_INVALID", "expectedTotal.minorUnits"],
    ["no city", { ...ORDER, shipTo: { ...ORDER.shipTo, city: "" } }, 400, "REQUEST_INVALID", "shipTo.city"],
    ["country of three letters", { ...ORDER, shipTo: { ...ORDER.shipTo, country: "GBR" } }, 400, "REQUEST_INVALID"],
    ["e-mail of a mebibyte", { ...ORDER, email: long }, 413, "BODY_TOO_LARGE"],
    ["address of a mebibyte", { ...ORDER, shipTo: { ...ORDER.shipTo, street: long } }, 413, "BODY_TOO_LARGE"],
    ["__proto__", `{"__proto__":{"admin":true},${JSON.stringify(ORDER).slice(1)}`, 400, "REQUEST_UNREADABLE"],
  ];
  const setup = await newApp();
  for (const [title, payload, status, reason, field] of cases) {
    const response = await place(setup, payload);
    const problem = response.json();
    assert.deepEqual([response.statusCode, problem.reason], [status, reason], title);
    if (field !== undefined)
      assert.ok(
        problem.violations.some((each: { field: string }) => each.field === field),
        title,
      );
    assert.ok(response.body.length < 4_096, title);
    await assertDescribed(setup.app, "post /api/orders", response);
  }
  const plain = await place(setup, "MUG-1", { ...KEY, "content-type": "text/plain" });
  assert.deepEqual([plain.statusCode, plain.json().reason], [415, "MEDIA_TYPE_UNSUPPORTED"]);
  assert.equal(setup.orders.placed.length, 0);
  assert.equal(({} as { admin?: boolean }).admin, undefined);
});

test("an idempotency key is 1 to 255 printable characters", async () => {
  const keys: [string | undefined, number][] = [
    [undefined, 400],
    ["", 400],
    ["x".repeat(256), 400],
    ["clé", 400],
    ["tab\there", 400],
    ["x", 201],
    ["y".repeat(255), 201],
    ["with space and ~!@#", 201],
  ];
  const setup = await newApp();
  for (const [key, status] of keys) {
    const response = await place(setup, ORDER, key === undefined ? {} : { "idempotency-key": key });
    assert.equal(response.statusCode, status, key);
    if (status === 400) assert.equal(response.json().violations[0].field, "Idempotency-Key");
  }
  const accepted = keys.filter(([, status]) => status === 201).map(([key]) => key);
  assert.deepEqual(
    setup.orders.placed.map(({ request }) => request.idempotencyKey),
    accepted,
  );
});

test("an order is shown, listed and cancelled in its own session only", async () => {
  const setup = await newApp();
  setup.orders.firstStatus = OrderStatus.ORDER_STATUS_PENDING;
  const [ada, eve] = [new Visitor(setup.app), new Visitor(setup.app)];
  await ada.get("/");
  await eve.get("/");
  const { app } = setup;
  const headers = { "content-type": "application/json", ...KEY };
  const placed = await app.inject({
    method: "POST",
    url: "/api/orders",
    payload: ORDER,
    headers,
    cookies: ada.cookies,
  });
  const { orderId } = placed.json();
  const shown = await ada.get(`/api/orders/${orderId}`);
  assert.equal(shown.body, placed.body);
  await assertDescribed(app, "get /api/orders/{orderId}", shown);
  const listed = await ada.get("/api/orders");
  assert.deepEqual(
    listed.json().orders.map((order: { orderId: string }) => order.orderId),
    [orderId],
  );
  await assertDescribed(app, "get /api/orders", listed);
  assert.deepEqual((await eve.get("/api/orders")).json(), { orders: [] });

  const unknown = "0190a0a0-0000-7000-8000-000000000000";
  const answers = [
    await eve.get(`/api/orders/${orderId}`),
    await eve.get(`/api/orders/${unknown}`),
    await eve.get("/api/orders/no-uuid"),
    await eve.get("/api/orders/..%2f..%2fetc"),
    await eve.get("/api/orders/%00%0d%0aset-cookie"),
    await app.inject({ url: `/api/orders/${orderId}`, cookies: { session: ada.cookies.session?.slice(0, -1) ?? "" } }),
    await app.inject({ method: "POST", url: `/api/orders/${orderId}/cancel`, cookies: eve.cookies }),
  ];
  for (const answer of answers) {
    const { traceId, ...problem } = answer.json();
    assert.deepEqual(
      [problem.status, problem.reason, problem.detail],
      [404, "ORDER_UNKNOWN", "there is no such order"],
    );
  }
  const cancel = { method: "POST", url: `/api/orders/${orderId}/cancel`, cookies: ada.cookies } as const;
  const cancelled = await app.inject(cancel);
  assert.deepEqual([cancelled.statusCode, cancelled.json().cancelReason], [202, "CUSTOMER"]);
  await assertDescribed(app, "post /api/orders/{orderId}/cancel", cancelled);
  const late = await app.inject(cancel);
  assert.deepEqual([late.statusCode, late.json().reason], [409, "ORDER_NOT_CANCELLABLE"]);
});

test("ids that make no sense and what is not for the public are problems", async () => {
  const { app } = await newApp();
  const urls = [`/api/orders/${"x".repeat(65)}`, `/api/orders/${"x".repeat(5_000)}`, "/api/orders/%zz", "/api/nothing"];
  urls.push(
    "/orders/%zz",
    `/orders/${"x".repeat(5_000)}`,
    "/metrics",
    "/healthz",
    "/readyz",
    "/debug/mesh",
    "/debug/failpoints",
  );
  for (const url of urls) {
    const response = await app.inject(url);
    assert.equal(Math.floor(response.statusCode / 100), 4, url.slice(0, 40));
    assert.match(String(response.headers["content-type"]), /^application\/problem\+json/);
    assert.equal(response.headers["x-content-type-options"], "nosniff");
    const asked = await app.inject({ url, headers: { accept: "text/html" } });
    assert.equal(asked.statusCode, response.statusCode, url.slice(0, 40));
  }
});

test("a failure behind the shop has its status, and a sign when to come back", async () => {
  const setup = await newApp();
  const cases: [ErrorKind, number, string | undefined][] = [
    ["unavailable", 503, "1"],
    ["exhausted", 429, "1"],
    ["deadline", 504, undefined],
    ["conflict", 409, undefined],
  ];
  for (const [kind, status, retryAfter] of cases) {
    setup.orders.failure = new MeshError(kind, "SOME_REASON", "so it is");
    const response = await place(setup);
    assert.equal(response.statusCode, status);
    assert.equal(response.headers["retry-after"], retryAfter);
    await assertDescribed(setup.app, "post /api/orders", response);
  }
});

test("products are asked for once in a second, and again after a failure", async () => {
  const { app, inventory } = await newApp();
  const [first] = await Promise.all(Array.from({ length: 10 }, () => app.inject("/api/products")));
  assert.equal(inventory.listed, 1);
  assert.equal(first?.json().products[1].name, "Enamel mug");
  assert.ok(first);
  await assertDescribed(app, "get /api/products", first);

  const { app: down, inventory: broken } = await newApp();
  broken.failure = new MeshError("unavailable", "NO_ENDPOINTS", "no endpoint of inventory is registered");
  assert.equal((await down.inject("/api/products")).statusCode, 503);
  broken.failure = undefined;
  assert.equal((await down.inject("/api/products")).statusCode, 200);
});
