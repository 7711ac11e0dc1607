/** What the routes of the API and of the pages share: clients, products, who asks, and the trace. */
import { randomUUID } from "node:crypto";
import type { Clock, Random } from "@ordermesh/mesh/clock";
import { childTraceparent } from "@ordermesh/mesh/context";
import type { CallOptions, MeshClient } from "@ordermesh/mesh/service-definition";
import type { InventoryServiceDefinition, Product } from "@ordermesh/proto/ordermesh/inventory/v1/inventory";
import type { Order, OrderServiceDefinition } from "@ordermesh/proto/ordermesh/order/v1/order";
import type { Logger } from "@ordermesh/runtime/log";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Counter } from "prom-client";
import type { StorefrontMetrics } from "./metrics.ts";

/** A customer rather waits than asks again: a look at an order took more than 2 s on a machine on which everything started anew. */
const CALL_TIMEOUT_MS = 5_000;
const PRODUCTS_TIMEOUT_MS = 2_000;
const PRODUCTS_FRESH_MS = 1_000;
const SESSION_COOKIE = "session";
const SESSION_S = 30 * 86_400;
const GUEST = "guest";

/** For cookies that only we may write and no script may read. */
export const SIGNED_COOKIE = { signed: true, httpOnly: true, sameSite: "lax", path: "/" } as const;

export type ShopOptions = {
  readonly orders: MeshClient<typeof OrderServiceDefinition>;
  readonly inventory: Pick<MeshClient<typeof InventoryServiceDefinition>, "listProducts">;
  readonly metrics: StorefrontMetrics;
  readonly cookieSecret: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Counts throws that nobody expected. */
  readonly bugs: Pick<Counter, "inc">;
  /** Aborts when the process begins to stop. */
  readonly stopping: AbortSignal;
};

/** What the routes share. */
export type Shop = ShopOptions & {
  /** The products, at most a second old. */
  products(): Promise<readonly Product[]>;
  callOptions(request: FastifyRequest, timeoutMs?: number): CallOptions & { traceparent: string };
  reportBug(error: unknown, request: FastifyRequest): void;
};

export function newShop(options: ShopOptions): Shop {
  const { clock, random, inventory, bugs, log } = options;
  const traces = new WeakMap<FastifyRequest, string>();
  let listed: { products: Promise<readonly Product[]>; atMs: number } | undefined;
  const list = async () => (await inventory.listProducts({}, { timeoutMs: PRODUCTS_TIMEOUT_MS })).products;
  return {
    ...options,
    async products() {
      const isFresh = listed !== undefined && clock.nowMs() - listed.atMs < PRODUCTS_FRESH_MS;
      const current = listed !== undefined && isFresh ? listed : { products: list(), atMs: clock.nowMs() };
      listed = current;
      try {
        return await current.products;
      } catch (error) {
        if (listed === current) listed = undefined; // The next request asks again.
        throw error;
      }
    },
    callOptions(request, timeoutMs = CALL_TIMEOUT_MS) {
      const traceparent = traces.get(request) ?? childTraceparent(request.headers.traceparent?.toString(), random);
      traces.set(request, traceparent);
      return { traceparent, timeoutMs };
    },
    reportBug(error, { routeOptions }) {
      bugs.inc();
      log.error({ err: error, "http.route": routeOptions.url ?? "_OTHER" }, "unexpected error");
    },
  };
}

/** Who asks: the session's customer, or "guest" outside a session. */
export function customerOf(request: FastifyRequest): string {
  return readSigned(request, SESSION_COOKIE) ?? GUEST;
}

/** Gives a visitor of the pages a session; the API works without one. */
export function startSession(request: FastifyRequest, reply: FastifyReply): void {
  if (customerOf(request) !== GUEST) return;
  void reply.setCookie(SESSION_COOKIE, randomUUID(), { ...SIGNED_COOKIE, maxAge: SESSION_S });
}

/** The value of a cookie that we have signed; undefined when it is absent or was changed. */
export function readSigned(request: FastifyRequest, name: string): string | undefined {
  const cookies: FastifyRequest["cookies"] | undefined = request.cookies; // Not there when the address was malformed.
  const value = cookies?.[name];
  const unsigned = value === undefined ? undefined : request.unsignCookie(value);
  return unsigned?.valid === true ? unsigned.value : undefined;
}

/** The wire allows a message to be absent; order never leaves it out. */
export function present(order: Order | undefined): Order {
  if (order === undefined) throw new TypeError("the order service answered without an order");
  return order;
}
