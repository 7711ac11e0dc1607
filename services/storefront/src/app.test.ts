import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@ordermesh/mesh/errors";
import { createLogger } from "@ordermesh/runtime/log";
import { newApp } from "../test/app-under-test.ts";
import { FakeInventory } from "../test/fake-services.ts";
import { ADA, ORDER, Visitor } from "../test/visitor.ts";

const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

function placing(headers: Record<string, string> = {}) {
  const all = { "idempotency-key": "k", host: "shop.example", ...headers };
  return { method: "POST", url: "/api/orders", payload: ORDER, headers: all } as const;
}

test("a valid trace goes on, an invalid one is replaced", async () => {
  const { app, orders } = await newApp();
  const invalid = ["", "nonsense", TRACEPARENT.toUpperCase(), `00-${"0".repeat(32)}-b7ad6b7169203331-01`];
  await app.inject(placing({ traceparent: TRACEPARENT }));
  for (const traceparent of invalid) await app.inject(placing({ traceparent }));
  const [kept = "", ...made] = orders.placed.map(({ options }) => options.traceparent?.split("-")[1]);
  assert.equal(kept, "0af7651916cd43dd8448eb211c80319c");
  for (const id of made) assert.match(id ?? "", /^(?!0af7651916)[0-9a-f]{32}$/);
});

test("a problem names the trace of its request", async () => {
  const { app, orders } = await newApp();
  const response = await app.inject({ url: "/api/orders/unknown", headers: { traceparent: TRACEPARENT } });
  assert.equal(response.json().traceId, "0af7651916cd43dd8448eb211c80319c");
  orders.failure = new MeshError("unavailable", "NO_ENDPOINTS", "no endpoint of order is registered");
  const failed = await app.inject(placing());
  assert.equal(failed.json().traceId, orders.placed[0]?.options.traceparent?.split("-")[1]);
});

test("who a caller says to be in headers or in an unsigned cookie does not matter", async () => {
  const { app, orders } = await newApp();
  await app.inject({
    ...placing({ "x-mesh-caller": "order", "x-customer-id": "eve", authorization: "Bearer eve" }),
    cookies: { session: "eve" },
  });
  assert.equal(orders.placed[0]?.request.customerId, "guest");
  assert.deepEqual(Object.keys(orders.placed[0]?.options ?? {}).sort(), ["timeoutMs", "traceparent"]);
});

test("the pages of another site cannot act in a visitor's session", async () => {
  const { app, orders } = await newApp();
  const visitor = new Visitor(app);
  await visitor.fill("MUG-1");
  const form = await visitor.checkoutForm();
  for (const origin of ["https://evil.example", "null", "http://shop.example.evil", "http://shop.example:81"]) {
    const response = await app.inject(placing({ origin }));
    assert.deepEqual([response.statusCode, response.json().reason], [403, "ORIGIN_FOREIGN"]);
    assert.equal((await visitor.post("/checkout", form, { origin })).statusCode, 403);
  }
  assert.equal(orders.placed.length, 0);
  assert.equal((await app.inject(placing({ origin: "http://shop.example" }))).statusCode, 201);
});

test("every answer carries the security headers, and no page an inline script or style", async () => {
  const { app } = await newApp();
  const urls = [
    "/",
    "/cart",
    "/orders",
    "/nothing",
    "/api/products",
    "/api/nothing",
    "/assets/order.js",
    "/openapi.json",
  ];
  for (const url of urls) {
    const { headers, body } = await app.inject({ url, headers: { accept: "text/html" } });
    assert.match(String(headers["content-security-policy"]), /default-src 'self'.*frame-ancestors 'none'/, url);
    assert.equal(headers["x-content-type-options"], "nosniff", url);
    assert.doesNotMatch(body, /<script>|<style|style="|\son\w+="/, url);
  }
});

test("a bug is answered without its text and logged without the order", async () => {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLogger({ service: "storefront", instance: "test", version: "test", level: "debug", destination });
  const { app, orders, registry } = await newApp(new FakeInventory(), log);
  orders.failure = new Error("the very secret text");
  const response = await app.inject(placing());
  assert.deepEqual([response.statusCode, response.json().reason], [500, "INTERNAL"]);
  assert.doesNotMatch(response.body, /secret|at .*\.ts/);
  orders.failure = undefined;
  await app.inject(placing());
  await app.inject({ ...placing(), payload: { ...ORDER, shipTo: ORDER.email } });
  const visitor = new Visitor(app);
  await visitor.fill("MUG-1");
  await visitor.post("/checkout", { ...(await visitor.checkoutForm()), ...ADA });
  assert.equal(lines.length, 1);
  assert.match(await registry.metrics(), /^bugs_total 1$/m);
  const [line = ""] = lines;
  assert.equal(JSON.parse(line)["http.route"], "/api/orders");
  assert.match(line, /the very secret text/);
  assert.doesNotMatch(line, /ada@|tok_|St James/);
});

test("requests are counted by route, never by address", async () => {
  const { app, registry } = await newApp();
  await app.inject("/api/orders/0190a0a0-0000-7000-8000-000000000000");
  await app.inject("/wp-login.php");
  const metrics = await registry.metrics();
  const labels = (route: string) => `http_request_method="GET",http_route="${route}",http_response_status_code="404"`;
  assert.match(metrics, new RegExp(`seconds_count\\{${labels("/api/orders/:orderId")}\\} 1`));
  assert.match(metrics, new RegExp(`seconds_count\\{${labels("_OTHER")}\\} 1`));
  assert.doesNotMatch(metrics, /0190a0a0|wp-login/);
});

test("a shop that stops lets go of the connections it has", async () => {
  const { app, stop } = await newApp();
  assert.notEqual((await app.inject("/api/products")).headers.connection, "close");
  stop.abort();
  assert.equal((await app.inject("/api/products")).headers.connection, "close");
});

test("the OpenAPI document names every route of the API", async () => {
  const { app } = await newApp();
  const { openapi, paths } = (await app.inject("/openapi.json")).json();
  assert.equal(openapi, "3.1.0");
  const operations = Object.entries<object>(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  assert.deepEqual(operations.sort(), [
    "get /api/orders",
    "get /api/orders/{orderId}",
    "get /api/orders/{orderId}/events",
    "get /api/products",
    "post /api/orders",
    "post /api/orders/{orderId}/cancel",
  ]);
});
