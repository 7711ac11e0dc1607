/** What the routes of the API and of the pages share: clients, products, and who asks. */
import { randomUUID } from "node:crypto";
import type { Clock, Random } from "@ordermesh/mesh/clock";
import { childTraceparent } from "@ordermesh/mesh/context";
import type { CallOptions, MeshClient } from "@ordermesh/mesh/service-definition";
import type { InventoryServiceDefinition, Product } from "@ordermesh/proto/ordermesh/inventory/v1/inventory";
import type { OrderServiceDefinition } from "@ordermesh/proto/ordermesh/order/v1/order";
import type { Logger } from "@ordermesh/runtime/log";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { StorefrontMetrics } from "./metrics.ts";

const CALL_TIMEOUT_MS = 2_000;
const PRODUCTS_FRESH_MS = 1_000;
const SESSION_COOKIE = "session";
const SESSION_S = 30 * 86_400;
const GUEST = "guest";

export type ShopOptions = {
  readonly orders: MeshClient<typeof OrderServiceDefinition>;
  readonly inventory: Pick<MeshClient<typeof InventoryServiceDefinition>, "listProducts">;
  readonly metrics: StorefrontMetrics;
  readonly cookieSecret: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Aborts when the process stops: streams end. */
  readonly stopping: AbortSignal;
};

/** What the routes share. */
export type Shop = ShopOptions & {
  /** The products, at most a second old. */
  products(): Promise<readonly Product[]>;
  /** Who asks: the session's customer, or "guest" outside a session. */
  customerOf(request: FastifyRequest): string;
  callOptions(request: FastifyRequest, timeoutMs?: number): CallOptions & { traceparent: string };
};

/** Makes a session for a visitor of the pages; the API works without one. */
export function startSession(request: FastifyRequest, reply: FastifyReply): void {
  if (sessionOf(request) !== GUEST) return;
  const options = { signed: true, httpOnly: true, sameSite: "lax", path: "/", maxAge: SESSION_S } as const;
  void reply.setCookie(SESSION_COOKIE, randomUUID(), options);
}

export function newShop(options: ShopOptions): Shop {
  const { clock, random, inventory } = options;
  const traces = new WeakMap<FastifyRequest, string>();
  let cached: { products: readonly Product[]; atMs: number } | undefined;
  return {
    ...options,
    async products() {
      if (cached === undefined || clock.nowMs() - cached.atMs > PRODUCTS_FRESH_MS) {
        const { products } = await inventory.listProducts({}, { timeoutMs: CALL_TIMEOUT_MS });
        cached = { products, atMs: clock.nowMs() };
      }
      return cached.products;
    },
    customerOf: sessionOf,
    callOptions(request, timeoutMs = CALL_TIMEOUT_MS) {
      const known = traces.get(request) ?? childTraceparent(request.headers.traceparent?.toString(), random);
      traces.set(request, known);
      return { traceparent: known, timeoutMs };
    },
  };
}

function sessionOf(request: FastifyRequest): string {
  const value = request.cookies[SESSION_COOKIE];
  const unsigned = value === undefined ? undefined : request.unsignCookie(value);
  return unsigned?.valid === true ? unsigned.value : GUEST;
}
