/** The JSON API: products and orders. events.ts adds an order's life as server-sent events. */
import type { FastifyInstance } from "fastify";
import { type OrderBody, toJson, toPlaceOrder, toProductJson } from "./orders.ts";
import { KEY_HEADERS, ORDER, ORDER_BODY, ORDER_ID, ORDERS, PROBLEMS, PRODUCTS } from "./schemas.ts";
import { customerOf, present, type Shop } from "./shop.ts";

/** How long a customer waits for an answer at most; for half of it an order may be decided before the answer is 202. */
const PLACE_TIMEOUT_MS = 7_000;
const MAX_LISTED = 50;

type OrderParams = { Params: { orderId: string } };

export function addApi(app: FastifyInstance, shop: Shop): void {
  const { orders } = shop;
  const products = { summary: "All products", response: { 200: PRODUCTS, ...PROBLEMS } };
  app.get("/api/products", { schema: products }, async () => ({
    products: (await shop.products()).map(toProductJson),
  }));

  const placing = {
    summary: "Place an order",
    description: "201 when the order is decided: confirmed or cancelled; 202 while that is open.",
    headers: KEY_HEADERS,
    body: ORDER_BODY,
    response: { 201: ORDER, 202: ORDER, ...PROBLEMS },
  };
  app.post<{ Body: OrderBody }>("/api/orders", { schema: placing }, async (request, reply) => {
    const key = String(request.headers["idempotency-key"]);
    const place = toPlaceOrder(request.body, key, customerOf(request));
    const { order } = await orders.placeOrder(place, shop.callOptions(request, PLACE_TIMEOUT_MS));
    const json = toJson(present(order));
    const status = json.status === "PENDING" ? 202 : 201;
    return reply.code(status).header("location", json.links.self).send(json);
  });

  const listing = { summary: "The orders of this session, newest first", response: { 200: ORDERS, ...PROBLEMS } };
  app.get("/api/orders", { schema: listing }, async (request) => {
    const list = { customerId: customerOf(request), pageSize: MAX_LISTED, pageToken: "" };
    const { orders: found } = await orders.listOrders(list, shop.callOptions(request));
    return { orders: found.map(toJson) };
  });

  const showing = { summary: "One order", params: ORDER_ID, response: { 200: ORDER, ...PROBLEMS } };
  app.get<OrderParams>("/api/orders/:orderId", { schema: showing }, async (request) => {
    const named = { orderId: request.params.orderId, customerId: customerOf(request) };
    const { order } = await orders.getOrder(named, shop.callOptions(request));
    return toJson(present(order));
  });

  const cancelling = {
    summary: "Ask for an order to be cancelled",
    params: ORDER_ID,
    response: { 202: ORDER, ...PROBLEMS },
  };
  app.post<OrderParams>("/api/orders/:orderId/cancel", { schema: cancelling }, async (request, reply) => {
    const named = { orderId: request.params.orderId, customerId: customerOf(request) };
    const { order } = await orders.cancelOrder(named, shop.callOptions(request));
    return reply.code(202).send(toJson(present(order)));
  });
}
