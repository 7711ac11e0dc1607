/** The shop's pages. They are rendered on the server and work without JavaScript. */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { isKind } from "@ordermesh/mesh/errors";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { addOne, formatCart, setQuantity } from "./cart.ts";
import {
  CHECKOUT_SCHEMA,
  type CheckoutForm,
  EMPTY_FORM,
  type FormErrors,
  toFormErrors,
  toOrderBody,
} from "./checkout.ts";
import { isFinal, toJson, toPlaceOrder, toProductJson } from "./orders.ts";
import { cartOf, saveCart, showPage } from "./page.ts";
import { toProblem } from "./problems.ts";
import { STEPS, TEXTS, textOf } from "./progress.ts";
import { CART_ITEM, ORDER_ID } from "./schemas.ts";
import { customerOf, present, type Shop, startSession } from "./shop.ts";

/** An order that is not decided in half of it is followed on its page. */
const PLACE_TIMEOUT_MS = 5_000;
const MAX_LISTED = 50;
const ASSET_TYPES = { css: "text/css", js: "text/javascript", svg: "image/svg+xml" } as const;
const ASSETS = ["base.css", "shop.css", "order.css", "order.js", "favicon.svg"];
const COUNTRIES = "AT BE CH CZ DE DK ES FI FR GB GR IE IT LU NL NO PL PT SE US".split(" ");
const COUNTRY_NAMES = new Intl.DisplayNames("en", { type: "region" });

type OrderParams = { Params: { orderId: string } };

export async function addPages(app: FastifyInstance, shop: Shop): Promise<void> {
  for (const file of ASSETS) addAsset(app, file);
  await app.register((pages, _options, done) => {
    pages.addHook("onRequest", async (request, reply) => startSession(request, reply));
    addCart(pages, shop);
    addOrders(pages, shop);
    done();
  });
}

function addAsset(app: FastifyInstance, file: string): void {
  const body = readFileSync(new URL(`../assets/${file}`, import.meta.url));
  const type = ASSET_TYPES[file.split(".").at(-1) as keyof typeof ASSET_TYPES];
  app.get(`/assets/${file}`, { schema: { hide: true } }, (_request, reply) =>
    reply.type(`${type}; charset=utf-8`).header("cache-control", "max-age=300").send(body),
  );
}

function addCart(app: FastifyInstance, shop: Shop): void {
  const page = { schema: { hide: true } };
  const item = { schema: { hide: true, body: CART_ITEM } };
  app.get("/", page, async (request, reply) => {
    const products = (await shop.products()).map(toProductJson);
    return showPage(request, reply, "shop", { title: "Shop", products });
  });
  app.get("/cart", page, (request, reply) => showCart(shop, request, reply, { form: EMPTY_FORM, errors: {} }));
  app.post<{ Body: { sku: string } }>("/cart/add", item, async (request, reply) => {
    saveCart(reply, addOne(cartOf(request), request.body.sku));
    return reply.redirect("/cart", 303);
  });
  app.post<{ Body: { sku: string; quantity: string } }>("/cart", item, async (request, reply) => {
    const { sku, quantity } = request.body;
    saveCart(reply, setQuantity(cartOf(request), sku, Number(quantity)));
    return reply.redirect("/cart", 303);
  });
  const checkout = { schema: { hide: true, body: CHECKOUT_SCHEMA } };
  app.post<{ Body: CheckoutForm }>("/checkout", checkout, (request, reply) => checkOut(shop, request, reply));
}

function addOrders(app: FastifyInstance, shop: Shop): void {
  const page = { schema: { hide: true } };
  const one = { schema: { hide: true, params: ORDER_ID } };
  app.get("/orders", page, async (request, reply) => {
    const list = { customerId: customerOf(request), pageSize: MAX_LISTED, pageToken: "" };
    const { orders } = await shop.orders.listOrders(list, shop.callOptions(request));
    return showPage(request, reply, "orders", { title: "My orders", orders: orders.map(toJson), textOf });
  });
  app.get<OrderParams>("/orders/:orderId", one, async (request, reply) => {
    const named = { orderId: request.params.orderId, customerId: customerOf(request) };
    const order = toJson(present((await shop.orders.getOrder(named, shop.callOptions(request))).order));
    const now = { text: textOf(order), isFinal: isFinal(order), steps: STEPS, texts: TEXTS };
    return showPage(request, reply, "order", { title: "Your order", order, ...now });
  });
  app.post<OrderParams>("/orders/:orderId/cancel", one, async (request, reply) => {
    const { orderId } = request.params;
    try {
      await shop.orders.cancelOrder({ orderId, customerId: customerOf(request) }, shop.callOptions(request));
    } catch (error) {
      // It was decided meanwhile: its page says so better than an error does.
      if (!isKind(error, "precondition")) throw error;
    }
    return reply.redirect(`/orders/${encodeURIComponent(orderId)}`, 303);
  });
}

async function showCart(
  shop: Shop,
  request: FastifyRequest,
  reply: FastifyReply,
  { form, errors }: { form: CheckoutForm; errors: FormErrors },
) {
  const products = new Map((await shop.products()).map((product) => [product.sku, toProductJson(product)]));
  const lines = cartOf(request).flatMap(({ sku, quantity }) => {
    const product = products.get(sku);
    const price = product?.price ?? { currency: "", minorUnits: 0 };
    return product === undefined
      ? []
      : [{ ...product, quantity, sum: { ...price, minorUnits: price.minorUnits * quantity } }];
  });
  const minorUnits = lines.reduce((sum, line) => sum + line.sum.minorUnits, 0);
  const total = { currency: lines[0]?.price.currency ?? "EUR", minorUnits };
  const countries = COUNTRIES.map((code) => ({ code, name: COUNTRY_NAMES.of(code) ?? code }));
  const ordered = { lines: formatCart(lines), total: `${total.currency} ${minorUnits}` };
  const filled = { ...form, ...ordered, key: form.key || randomUUID() };
  return showPage(request, reply, "cart", { title: "Cart", lines, total, form: filled, errors, countries });
}

async function checkOut(shop: Shop, request: FastifyRequest<{ Body: CheckoutForm }>, reply: FastifyReply) {
  const form = request.body;
  try {
    const place = toPlaceOrder(toOrderBody(form), form.key, customerOf(request));
    const { order } = await shop.orders.placeOrder(place, shop.callOptions(request, PLACE_TIMEOUT_MS));
    saveCart(reply, []);
    return reply.redirect(`/orders/${present(order).orderId}`, 303);
  } catch (error) {
    const errors = toFormErrors(error);
    if (errors === undefined) throw error;
    const isKeyUsed = isKind(error, "invalid") && error.reason === "IDEMPOTENCY_KEY_REUSED";
    void reply.code(toProblem(error, "").status);
    return await showCart(shop, request, reply, { form: isKeyUsed ? { ...form, key: "" } : form, errors });
  }
}
