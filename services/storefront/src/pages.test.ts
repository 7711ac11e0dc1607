import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@ordermesh/mesh/errors";
import { OrderStatus } from "@ordermesh/proto/ordermesh/order/v1/order";
import { newApp } from "../test/app-under-test.ts";
import { aProduct } from "../test/fake-services.ts";
import { Visitor } from "../test/visitor.ts";

const UNAVAILABLE = new MeshError("unavailable", "NO_ENDPOINTS", "no endpoint of order is registered");

async function newVisit() {
  const setup = await newApp();
  return { ...setup, visitor: new Visitor(setup.app) };
}

/** Quantities in the cart page, by SKU. */
async function cartOf(visitor: Visitor): Promise<Record<string, string>> {
  const { body } = await visitor.get("/cart");
  const inputs = body.matchAll(/id="quantity-([A-Z0-9-]+)"[^>]* value="(\d+)"/g);
  return Object.fromEntries([...inputs].map(([, sku, quantity]) => [sku, quantity]));
}

test("the shop shows every product, and offers those that are there", async () => {
  const { visitor } = await newVisit();
  const { statusCode, body } = await visitor.get("/");
  assert.equal(statusCode, 200);
  for (const text of ["Enamel mug", "€12.99", "Only 40 left", "Idempotent socks", "First edition", "Sold out"])
    assert.ok(body.includes(text), text);
  assert.deepEqual(
    [...body.matchAll(/name="sku" value="([^"]+)"/g)].map(([, sku]) => sku),
    ["MUG-1", "SOCKS-1"],
  );
});

test("a cart takes, changes and loses products", async () => {
  const { visitor } = await newVisit();
  await visitor.fill("MUG-1", "SOCKS-1", "MUG-1");
  assert.deepEqual(await cartOf(visitor), { "MUG-1": "2", "SOCKS-1": "1" });
  await visitor.post("/cart", { sku: "SOCKS-1", quantity: "5" });
  await visitor.post("/cart", { sku: "MUG-1", quantity: "0" });
  assert.deepEqual(await cartOf(visitor), { "SOCKS-1": "5" });
  const { body } = await visitor.get("/cart");
  assert.match(body, /€59\.50/);
  assert.match(body, /class="count">5/);
  await visitor.fill("UNKNOWN-1");
  assert.deepEqual(await cartOf(visitor), { "SOCKS-1": "5" });
});

test("a cart that was changed on the way is empty", async () => {
  const { visitor } = await newVisit();
  await visitor.fill("MUG-1");
  visitor.cookies.cart = visitor.cookies.cart?.replace("1", "9") ?? "";
  assert.deepEqual(await cartOf(visitor), {});
});

test("a form that no page of ours sends is refused", async () => {
  const { visitor } = await newVisit();
  const forms: [string, Record<string, string>][] = [
    ["/cart/add", {}],
    ["/cart/add", { sku: "<script>" }],
    ["/cart/add", { sku: "MUG-1:1.PEN-1" }],
    ["/cart", { sku: "MUG-1", quantity: "many" }],
    ["/cart", { sku: "MUG-1", quantity: "-1" }],
    ["/checkout", { email: "x".repeat(3_000) }],
  ];
  for (const [url, form] of forms) {
    const { statusCode, headers, body } = await visitor.post(url, form);
    assert.equal(statusCode, 400, JSON.stringify(form).slice(0, 50));
    assert.match(String(headers["content-type"]), /^text\/html/);
    assert.match(body, /REQUEST_INVALID/);
  }
  assert.deepEqual(await cartOf(visitor), {});
});

test("a checkout places the order that the visitor saw, empties the cart and shows the order", async () => {
  const { visitor, orders } = await newVisit();
  await visitor.fill("MUG-1", "MUG-1");
  const form = await visitor.checkoutForm();
  const placed = await visitor.post("/checkout", form);
  assert.equal(placed.statusCode, 303);
  const { request } = orders.placed[0] ?? assert.fail("nothing was placed");
  assert.deepEqual(request.lines, [{ sku: "MUG-1", quantity: 2 }]);
  assert.deepEqual(request.expectedTotal, { currency: "EUR", minorUnits: 2598n });
  assert.equal(request.idempotencyKey, form.key);
  assert.match(request.customerId, /^[0-9a-f-]{36}$/);
  assert.deepEqual(await cartOf(visitor), {});

  const page = await visitor.get(String(placed.headers.location));
  assert.equal(page.statusCode, 200);
  assert.match(page.body, /<h1 data-headline>Confirmed<\/h1>/);
  assert.match(page.body, /<li data-step="CONFIRMED" class="done" aria-current="step">/);
  assert.match(page.body, /aria-live="polite"/);
  assert.match(page.body, /<noscript><meta http-equiv="refresh"/);
  assert.match((await visitor.get("/orders")).body, /2 × Enamel mug/);
});

test("a form that is sent twice is one order", async () => {
  const { visitor } = await newVisit();
  await visitor.fill("MUG-1");
  const form = await visitor.checkoutForm();
  const [first, second] = await Promise.all([visitor.post("/checkout", form), visitor.post("/checkout", form)]);
  assert.equal(first.headers.location, second.headers.location);
  assert.equal((await visitor.get("/orders")).body.match(/href="\/orders\/[^"]+"/g)?.length, 1);
});

test("a form that was sent before with other details gets a new key", async () => {
  const { visitor } = await newVisit();
  await visitor.fill("MUG-1");
  const form = await visitor.checkoutForm();
  await visitor.post("/checkout", form);
  await visitor.fill("MUG-1");
  const { statusCode, body } = await visitor.post("/checkout", { ...form, email: "eve@example.com" });
  assert.equal(statusCode, 400);
  assert.match(body, /role="alert">An order with other details was placed/);
  assert.doesNotMatch(body, new RegExp(form.key ?? ""));
});

test("what is wrong is said at its field, and what was typed is kept", async () => {
  const { visitor, orders } = await newVisit();
  await visitor.fill("MUG-1");
  const violations = [{ field: "email", description: "must be an e-mail address" }];
  orders.failure = new MeshError("invalid", "ORDER_INVALID", "the order is not valid", { violations });
  const { statusCode, body } = await visitor.post("/checkout", { ...(await visitor.checkoutForm()), email: "ada@@" });
  assert.equal(statusCode, 400);
  assert.match(body, /value="ada@@" required aria-invalid="true" aria-describedby="email-error"/);
  assert.match(body, /id="email-error">This must be an e-mail address\./);
  assert.match(body, /<option value="GB" selected>/);
  assert.match(body, /value="12 St James Square"/);
});

test("an order that could not be taken keeps its key, so that sending again is safe", async () => {
  const { visitor, orders } = await newVisit();
  await visitor.fill("MUG-1");
  const form = await visitor.checkoutForm();
  orders.failure = UNAVAILABLE;
  const failed = await visitor.post("/checkout", form);
  assert.equal(failed.statusCode, 503);
  assert.match(failed.body, /will not be placed twice/);
  assert.ok(failed.body.includes(`name="key" value="${form.key}"`));
  orders.failure = undefined;
  assert.equal((await visitor.post("/checkout", form)).statusCode, 303);
});

test("an order page says how it ended", async () => {
  const { visitor, orders } = await newVisit();
  await visitor.fill("MUG-1");
  const form = await visitor.checkoutForm();
  const declined = await visitor.post("/checkout", { ...form, paymentToken: "tok_declined" });
  const page = await visitor.get(String(declined.headers.location));
  assert.match(page.body, /<h1 data-headline>Cancelled<\/h1>\s*<p class="lead" data-lead>The card was declined/);
  assert.doesNotMatch(page.body, /http-equiv="refresh"|order\.js/);

  await visitor.fill("MUG-1");
  const placed = await visitor.post("/checkout", await visitor.checkoutForm());
  const orderId = String(placed.headers.location).split("/").at(-1) ?? "";
  orders.change(orderId, { status: OrderStatus.ORDER_STATUS_SHIPPED, trackingCode: "OM-42" });
  const shipped = await visitor.get(`/orders/${orderId}`);
  assert.match(shipped.body, /Shipped<\/h1>/);
  assert.match(shipped.body, /<code>OM-42<\/code>/);
});

test("an open order can be cancelled, a decided one shows what it is", async () => {
  const { visitor, orders } = await newVisit();
  orders.firstStatus = OrderStatus.ORDER_STATUS_PENDING;
  await visitor.fill("MUG-1");
  const { headers } = await visitor.post("/checkout", await visitor.checkoutForm());
  const page = String(headers.location);
  assert.match((await visitor.get(page)).body, /data-cancel/);
  for (const expected of [303, 303]) {
    const cancelled = await visitor.post(`${page}/cancel`, {});
    assert.deepEqual([cancelled.statusCode, cancelled.headers.location], [expected, page]);
  }
  assert.match((await visitor.get(page)).body, /You asked for it/);
});

test("another session's order is not found, as an unknown one", async () => {
  const { app, visitor } = await newVisit();
  await visitor.fill("MUG-1");
  const { headers } = await visitor.post("/checkout", await visitor.checkoutForm());
  const other = new Visitor(app);
  await other.get("/");
  const pages = [await other.get(String(headers.location)), await other.get("/orders/unknown")];
  const [theirs, unknown] = pages.map(({ statusCode, body }) => [statusCode, body.replace(/Trace <code>\w+/, "")]);
  assert.equal(theirs?.[0], 404);
  assert.deepEqual(theirs, unknown);
  assert.match((await other.get("/orders")).body, /No orders in this session/);
});

test("what people type is shown as text", async () => {
  const { visitor, inventory, orders } = await newVisit();
  const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>'&`;
  inventory.products = [{ ...aProduct("EVIL-1", evil, 100n, 7), description: evil }];
  await visitor.fill("EVIL-1");
  const form = { ...(await visitor.checkoutForm()), name: evil, street: evil, email: evil, country: evil };
  orders.failure = new MeshError("invalid", "ORDER_INVALID", evil, {
    violations: [{ field: "email", description: evil }],
  });
  const refused = await visitor.post("/checkout", form);
  orders.failure = new MeshError("not-found", "ORDER_UNKNOWN", evil);
  const missing = await visitor.get("/orders/x");
  orders.failure = undefined;
  const placed = await visitor.post("/checkout", form);
  orders.change(String(placed.headers.location).split("/").at(-1) ?? "", { trackingCode: evil });
  const pages = [refused, missing, await visitor.get("/"), await visitor.get("/cart"), await visitor.get("/orders")];
  pages.push(await visitor.get(String(placed.headers.location)));
  for (const { body } of pages) assert.doesNotMatch(body, /<script>|<img|"'&/);
  assert.ok(pages.filter(({ body }) => body.includes("&lt;script&gt;")).length >= 5);
});

test("every page can be read without eyes and without scripts", async () => {
  const { visitor, orders } = await newVisit();
  await visitor.fill("MUG-1");
  const cart = await visitor.get("/cart");
  const placed = await visitor.post("/checkout", await visitor.checkoutForm());
  const pages = [cart, await visitor.get(String(placed.headers.location))];
  for (const url of ["/", "/cart", "/orders", "/nothing"]) pages.push(await visitor.get(url));
  orders.failure = UNAVAILABLE;
  pages.push(await visitor.get("/orders"));
  for (const { body } of pages) {
    assert.match(body, /^<!doctype html>\s*<html lang="en">/);
    assert.match(body, /<title>[^<]+ · Ordermesh Supply<\/title>/);
    assert.equal(body.match(/<h1/g)?.length, 1);
    assert.match(body, /<a class="skip" href="#main">[\s\S]*<main id="main"/);
    assert.doesNotMatch(body, /(href|src|action)="(https?:)?\/\//);
    const fields = [...body.matchAll(/<(?:input|select) id="([^"]+)"/g)].map(([, id]) => id);
    for (const id of fields) assert.ok(body.includes(`for="${id}"`), id);
    const svgs = body.match(/<svg\b[^>]*>/g) ?? [];
    assert.ok(svgs.every((svg) => svg.includes('aria-hidden="true"')));
  }
  assert.equal(pages.at(-1)?.statusCode, 503);
  assert.match(pages.at(-1)?.body ?? "", /Not available right now/);
});

test("styles, script and icon are served with their types", async () => {
  const { app } = await newVisit();
  const types = {
    "base.css": "text/css",
    "shop.css": "text/css",
    "order.js": "text/javascript",
    "favicon.svg": "image/svg+xml",
  };
  for (const [file, type] of Object.entries(types)) {
    const { statusCode, headers } = await app.inject(`/assets/${file}`);
    assert.deepEqual([statusCode, headers["content-type"]], [200, `${type}; charset=utf-8`], file);
  }
  assert.equal((await app.inject("/assets/../src/app.ts")).statusCode, 404);
});
