/** Renders a page around what it shows, and keeps the visitor's cart in a signed cookie. */
import { fileURLToPath } from "node:url";
import { Eta } from "eta";
import type { FastifyReply, FastifyRequest } from "fastify";
import { type CartLine, formatCart, parseCart } from "./cart.ts";
import { drawingOf, hueOf } from "./illustrations.ts";
import type { MoneyJson } from "./orders.ts";
import { readSigned, SIGNED_COOKIE } from "./shop.ts";

const CART_COOKIE = "cart";
const CART_S = 7 * 86_400;

const eta = new Eta({ views: fileURLToPath(new URL("../templates/", import.meta.url)), cache: true, autoEscape: true });

/** Sends the template of that name; every value in `data` is escaped where it is shown. */
export function showPage(
  request: FastifyRequest,
  reply: FastifyReply,
  template: string,
  data: { title: string; [name: string]: unknown },
): FastifyReply {
  const cartCount = cartOf(request).reduce((sum, { quantity }) => sum + quantity, 0);
  const html = eta.render(template, { ...data, cartCount, path: request.routeOptions.url, priceOf, drawingOf, hueOf });
  return reply.type("text/html; charset=utf-8").header("cache-control", "no-store").send(html);
}

export function cartOf(request: FastifyRequest): CartLine[] {
  return parseCart(readSigned(request, CART_COOKIE) ?? "");
}

export function saveCart(reply: FastifyReply, lines: readonly CartLine[]): void {
  void reply.setCookie(CART_COOKIE, formatCart(lines), { ...SIGNED_COOKIE, maxAge: CART_S });
}

const formats = new Map<string, Intl.NumberFormat>();

function priceOf({ currency, minorUnits }: MoneyJson): string {
  const format = formats.get(currency) ?? new Intl.NumberFormat("en", { style: "currency", currency });
  formats.set(currency, format);
  return format.format(minorUnits / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}
