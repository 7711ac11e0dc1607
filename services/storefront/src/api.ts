/** The JSON API: products, orders, and an order's life as server-sent events. */
import type { ServerResponse } from "node:http";
import { MeshError } from "@ordermesh/mesh/errors";
import type { FastifyInstance, FastifyRequest } from "fastify";

import { isFinal, type OrderBody, type OrderJson, toJson, toPlaceOrder, toProductJson } from "./orders.ts";
import { KEY_HEADERS, ORDER, ORDER_BODY, ORDER_ID, PROBLEM, PRODUCTS } from "./schemas.ts";
import type { Shop } from "./shop.ts";

/** How long the API waits for an order to be decided before it answers 202. */
export const PLACE_TIMEOUT_MS = 5_000;
const MAX_STREAMS = 500;
const HEARTBEAT_MS = 15_000;
const PROBLEMS = { "4xx": PROBLEM, "5xx": PROBLEM };

type OrderParams = { Params: { orderId: string } };

export function addApi(app: FastifyInstance, shop: Shop): void {
  const { orders } = shop;
  app.get(
    "/api/products",
    { schema: { summary: "All products", response: { 200: PRODUCTS, ...PROBLEMS } } },
    async () => {
      return { products: (await shop.products()).map(toProductJson) };
    },
  );

  const placing = {
    summary: "Place an order",
    headers: KEY_HEADERS,
    body: ORDER_BODY,
    response: { 201: ORDER, 202: ORDER, ...PROBLEMS },
  };
  app.post<{ Body: OrderBody }>("/api/orders", { schema: placing }, async (request, reply) => {
    const key = String(request.headers["idempotency-key"]);
    const { order } = await orders.placeOrder(
      toPlaceOrder(request.body, key, shop.customerOf(request)),
      shop.callOptions(request, PLACE_TIMEOUT_MS),
    );
    const json = present(order);
    return reply
      .code(json.status === "PENDING" ? 202 : 201)
      .header("location", json.links.self)
      .send(json);
  });

  const showing = { summary: "One order", params: ORDER_ID, response: { 200: ORDER, ...PROBLEMS } };
  app.get<OrderParams>("/api/orders/:orderId", { schema: showing }, async (request) => {
    const { order } = await orders.getOrder(
      { orderId: request.params.orderId, customerId: shop.customerOf(request) },
      shop.callOptions(request),
    );
    return present(order);
  });

  const listing = {
    summary: "The orders of this session, newest first",
    response: { 200: { type: "object", properties: { orders: { type: "array", items: ORDER } } }, ...PROBLEMS },
  };
  app.get("/api/orders", { schema: listing }, async (request) => {
    const { orders: found } = await orders.listOrders(
      { customerId: shop.customerOf(request), pageSize: 50, pageToken: "" },
      shop.callOptions(request),
    );
    return { orders: found.map(toJson) };
  });

  const cancelling = {
    summary: "Ask for an order to be cancelled",
    params: ORDER_ID,
    response: { 202: ORDER, ...PROBLEMS },
  };
  app.post<OrderParams>("/api/orders/:orderId/cancel", { schema: cancelling }, async (request, reply) => {
    const { order } = await orders.cancelOrder(
      { orderId: request.params.orderId, customerId: shop.customerOf(request) },
      shop.callOptions(request),
    );
    return reply.code(202).send(present(order));
  });

  addEvents(app, shop);
}

function addEvents(app: FastifyInstance, shop: Shop): void {
  const open = new Set<AbortController>();
  shop.stopping.addEventListener("abort", () => {
    for (const stream of open) stream.abort();
  });
  const schema = { summary: "The order now and after every change, as server-sent events", params: ORDER_ID };
  app.get<OrderParams>("/api/orders/:orderId/events", { schema }, async (request, reply) => {
    const { orderId } = request.params;
    const customerId = shop.customerOf(request);
    if (open.size >= MAX_STREAMS)
      throw new MeshError("unavailable", "TOO_MANY_STREAMS", "too many pages are followed; try again soon");
    await shop.orders.getOrder({ orderId, customerId }, shop.callOptions(request)); // Not found is answered as a problem.
    const stream = new AbortController();
    open.add(stream);
    shop.metrics.streams.set(open.size);
    request.raw.on("close", () => stream.abort());
    reply.hijack();
    await sendEvents(reply.raw, follow(shop, orderId, customerId, request, stream.signal));
    open.delete(stream);
    shop.metrics.streams.set(open.size);
  });
}

async function* follow(
  shop: Shop,
  orderId: string,
  customerId: string,
  request: FastifyRequest,
  signal: AbortSignal,
): AsyncIterable<OrderJson> {
  const seen = Number(request.headers["last-event-id"] ?? 0);
  const { traceparent } = shop.callOptions(request);
  for await (const { order } of shop.orders.watchOrder({ orderId, customerId }, { signal, traceparent })) {
    const json = present(order);
    if (json.version > seen || isFinal(json)) yield json;
    if (isFinal(json)) return;
  }
}

/** A stream that breaks ends the response; the browser connects again and names the last event that it has. */
async function sendEvents(response: ServerResponse, orders: AsyncIterable<OrderJson>): Promise<void> {
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  response.write("retry: 1000\n\n");
  const heartbeat = setInterval(() => response.write(": still here\n\n"), HEARTBEAT_MS);
  try {
    for await (const order of orders)
      response.write(`event: order\nid: ${order.version}\ndata: ${JSON.stringify(order)}\n\n`);
  } catch {
    // The mesh has counted and logged it; the browser tries again.
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}

function present(order: Parameters<typeof toJson>[0] | undefined): OrderJson {
  if (order === undefined) throw new TypeError("the order service answered without an order");
  return toJson(order);
}
