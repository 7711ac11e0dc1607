/** The shop's pages, rendered on the server; they work without JavaScript. */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isKind, MeshError } from "@ordermesh/mesh/errors";
import { Eta } from "eta";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { PLACE_TIMEOUT_MS } from "./api.ts";
import { addOne, type CartLine, formatCart, parseCart, setQuantity } from "./cart.ts";
import { drawingOf, hueOf } from "./illustrations.ts";
import { type OrderBody, toJson, toPlaceOrder, toProductJson } from "./orders.ts";
import { type Shop, startSession } from "./shop.ts";

const CART_COOKIE = "cart";
const CART_S = 7 * 86_400;
const SIGNED = { signed: true, httpOnly: true, sameSite: "lax", path: "/" } as const;
const CSS = "text/css; charset=utf-8";
const ASSETS = [
  { path: "/assets/base.css", file: "base.css", type: CSS },
  { path: "/assets/shop.css", file: "shop.css", type: CSS },
  { path: "/assets/order.css", file: "order.css", type: CSS },
  { path: "/assets/order.js", file: "order.js", type: "text/javascript; charset=utf-8" },
  { path: "/favicon.svg", file: "favicon.svg", type: "image/svg+xml" },
];

type Form = Readonly<Record<string, string>>;
type Errors = Readonly<Record<string, string>>;

const eta = new Eta({ views: fileURLToPath(new URL("../templates/", import.meta.url)), cache: true, autoEscape: true });

export async function addPages(app: FastifyInstance, shop: Shop): Promise<void> {
  for (const { path, file, type } of ASSETS) {
    const body = readFileSync(new URL(`../assets/${file}`, import.meta.url));
    app.get(path, { schema: { hide: true } }, (_request, reply) =>
      reply.type(type).header("cache-control", "max-age=300").send(body),
    );
  }
  const options = { schema: { hide: true } };
  app.get("/", options, async (request, reply) => {
    startSession(request, reply);
    const products = (await shop.products()).map(toProductJson);
    return render(request, reply, "shop", { title: "Shop", products });
  });
  app.get("/cart", options, (request, reply) => showCart(shop, request, reply, { form: {}, errors: {} }));
  app.post<{ Body: Form }>("/cart/add", options, async (request, reply) => {
    startSession(request, reply);
    saveCart(reply, addOne(cartOf(request), request.body.sku ?? ""));
    return reply.redirect("/cart", 303);
  });
  app.post<{ Body: Form }>("/cart", options, async (request, reply) => {
    saveCart(reply, setQuantity(cartOf(request), request.body.sku ?? "", Number(request.body.quantity)));
    return reply.redirect("/cart", 303);
  });
  app.post<{ Body: Form }>("/checkout", options, (request, reply) => checkOut(shop, request, reply));
  app.get("/orders", options, async (request, reply) => {
    const { orders } = await shop.orders.listOrders(
      { customerId: shop.customerOf(request), pageSize: 50, pageToken: "" },
      shop.callOptions(request),
    );
    return render(request, reply, "orders", { title: "My orders", orders: orders.map(toJson) });
  });
  app.get<{ Params: { orderId: string } }>("/orders/:orderId", options, async (request, reply) => {
    const customerId = shop.customerOf(request);
    const { order } = await shop.orders
      .getOrder({ orderId: request.params.orderId, customerId }, shop.callOptions(request))
      .catch(asPage);
    if (order === undefined) return render(request, reply.code(404), "missing", { title: "No such order" });
    return render(request, reply, "order", { title: "Your order", order: toJson(order) });
  });
  app.post<{ Params: { orderId: string } }>("/orders/:orderId/cancel", options, async (request, reply) => {
    const { orderId } = request.params;
    await shop.orders
      .cancelOrder({ orderId, customerId: shop.customerOf(request) }, shop.callOptions(request))
      .catch(tooLate);
    return reply.redirect(`/orders/${encodeURIComponent(orderId)}`, 303);
  });
}

async function showCart(
  shop: Shop,
  request: FastifyRequest,
  reply: FastifyReply,
  { form, errors }: { form: Form; errors: Errors },
) {
  const products = new Map((await shop.products()).map((product) => [product.sku, toProductJson(product)]));
  const lines = cartOf(request).flatMap(({ sku, quantity }) => {
    const product = products.get(sku);
    return product === undefined ? [] : [{ ...product, quantity }];
  });
  const total = {
    currency: lines[0]?.price.currency ?? "EUR",
    minorUnits: lines.reduce((sum, { price, quantity }) => sum + price.minorUnits * quantity, 0),
  };
  // The key and the lines are part of the form: sent twice, it is the same order.
  const hidden = { key: form.key ?? randomUUID(), lines: form.lines ?? formatCart(lines) };
  return render(request, reply, "cart", { title: "Cart", lines, total, hidden, form, errors });
}

async function checkOut(shop: Shop, request: FastifyRequest<{ Body: Form }>, reply: FastifyReply) {
  const form = request.body;
  const field = (name: string) => (form[name] ?? "").trim();
  const body: OrderBody = {
    email: field("email"),
    shipTo: {
      name: field("name"),
      street: field("street"),
      city: field("city"),
      postalCode: field("postalCode"),
      country: field("country").toUpperCase(),
    },
    lines: parseCart(form.lines),
    paymentToken: field("paymentToken"),
  };
  try {
    const place = toPlaceOrder(body, field("key"), shop.customerOf(request));
    const { order } = await shop.orders.placeOrder(place, shop.callOptions(request, PLACE_TIMEOUT_MS));
    saveCart(reply, []);
    return reply.redirect(`/orders/${order?.orderId}`, 303);
  } catch (error) {
    if (!isKind(error, "invalid", "unavailable", "deadline", "exhausted")) throw error;
    const errors = Object.fromEntries(
      error.violations.map(({ field: path, description }) => [toFormField(path), description]),
    );
    if (error.violations.length === 0)
      Object.assign(errors, {
        form: "We could not take the order just now. Nothing was charged twice; please send it again.",
      });
    return showCart(shop, request, reply.code(error.kind === "invalid" ? 422 : 503), { form, errors });
  }
}

function render(request: FastifyRequest, reply: FastifyReply, template: string, data: object) {
  const cartCount = cartOf(request).reduce((sum, { quantity }) => sum + quantity, 0);
  const html = eta.render(template, { ...data, cartCount, path: request.routeOptions.url, price, drawingOf, hueOf });
  return reply.type("text/html; charset=utf-8").header("cache-control", "no-store").send(html);
}

function cartOf(request: FastifyRequest): CartLine[] {
  const value = request.cookies[CART_COOKIE];
  const unsigned = value === undefined ? undefined : request.unsignCookie(value);
  return unsigned?.valid === true ? parseCart(unsigned.value) : [];
}

function saveCart(reply: FastifyReply, lines: readonly CartLine[]): void {
  void reply.setCookie(CART_COOKIE, formatCart(lines), { ...SIGNED, maxAge: CART_S });
}

/** `ship_to.postal_code` is `postalCode` in the form. */
function toFormField(path: string): string {
  const last = path.split(".").at(-1) ?? path;
  if (path.startsWith("lines")) return "form";
  return last.replaceAll(/_(\w)/g, (_match, letter: string) => letter.toUpperCase());
}

function price({ currency, minorUnits }: { currency: string; minorUnits: number }): string {
  const format = new Intl.NumberFormat("en", { style: "currency", currency });
  return format.format(minorUnits / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}

function asPage(error: unknown): { order: undefined } {
  if (isKind(error, "not-found")) return { order: undefined };
  throw error;
}

/** The page shows that it was confirmed meanwhile, which says it better than an error. */
function tooLate(error: unknown): void {
  if (!(error instanceof MeshError && error.kind === "precondition")) throw error;
}
