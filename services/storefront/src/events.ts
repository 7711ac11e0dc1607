/** An order's life as server-sent events: one watch of the order service for each connection. */
import { PassThrough } from "node:stream";
import { MeshError } from "@ordermesh/mesh/errors";
import type { FastifyInstance, FastifyReply } from "fastify";
import { isFinal, type OrderJson, toJson } from "./orders.ts";
import { ORDER_ID, PROBLEMS } from "./schemas.ts";
import { customerOf, present, type Shop } from "./shop.ts";

const MAX_STREAMS = 500;
const HEARTBEAT_MS = 15_000;
const RETRY_MS = 1_000;
const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store",
  "x-accel-buffering": "no",
  connection: "close", // Else the idle connection would outlive the stream and hold up a shutdown.
};
const EVENTS = {
  description: "`event: order`, `id:` its version, `data:` the order as JSON; ends after SHIPPED or CANCELLED",
  content: { "text/event-stream": { schema: { type: "string" } } },
};
const FOLLOWING = {
  summary: "The order now and after every change, as server-sent events",
  params: ORDER_ID,
  response: { 200: EVENTS, ...PROBLEMS },
};

export function addEvents(app: FastifyInstance, shop: Shop): void {
  const streams = new Streams(shop);
  // Followers would hold up a shutdown; their browsers connect again, to a process that stays.
  app.addHook("preClose", async () => streams.abort());
  const route = { schema: FOLLOWING, exposeHeadRoute: false };
  app.get<{ Params: { orderId: string } }>("/api/orders/:orderId/events", route, async (request, reply) => {
    const named = { orderId: request.params.orderId, customerId: customerOf(request) };
    const signal = streams.open(reply);
    const options = shop.callOptions(request);
    await shop.orders.getOrder(named, options); // No such order, or nobody there: a problem, not a stream.
    const { traceparent } = options;
    const orders = shop.orders.watchOrder(named, { signal, traceparent });
    const body = new PassThrough();
    void write(body, newerThan(versionOf(request.headers["last-event-id"]), orders), (error) =>
      shop.reportBug(error, request),
    );
    return reply.headers(HEADERS).send(body);
  });
}

class Streams {
  readonly #open = new Set<AbortController>();
  readonly #shop: Shop;

  constructor(shop: Shop) {
    this.#shop = shop;
  }

  /** A signal that aborts when the connection of `reply` is over. @throws MeshError unavailable TOO_MANY_STREAMS */
  open(reply: FastifyReply): AbortSignal {
    if (this.#open.size >= MAX_STREAMS)
      throw new MeshError("unavailable", "TOO_MANY_STREAMS", "too many orders are being followed; try again soon");
    const stream = new AbortController();
    this.#open.add(stream);
    this.#shop.metrics.streams.set(this.#open.size);
    reply.raw.on("close", () => {
      stream.abort();
      this.#open.delete(stream);
      this.#shop.metrics.streams.set(this.#open.size);
    });
    return stream.signal;
  }

  abort(): void {
    for (const stream of this.#open) stream.abort();
  }
}

/** What the follower has not seen; the final order always, so that its stream ends with an event. */
async function* newerThan(
  version: number,
  orders: AsyncIterable<{ order?: Parameters<typeof present>[0] }>,
): AsyncIterable<OrderJson> {
  for await (const { order } of orders) {
    const json = toJson(present(order));
    if (json.version > version || isFinal(json)) yield json;
  }
}

/** A watch that breaks ends the response; the browser connects again and names the last event that it has. */
async function write(
  body: PassThrough,
  orders: AsyncIterable<OrderJson>,
  onBug: (error: unknown) => void,
): Promise<void> {
  body.write(`retry: ${RETRY_MS}\n\n`);
  const heartbeat = setInterval(() => body.write(": still here\n\n"), HEARTBEAT_MS);
  try {
    for await (const order of orders)
      body.write(`event: order\nid: ${order.version}\ndata: ${JSON.stringify(order)}\n\n`);
  } catch (error) {
    if (!(error instanceof MeshError)) onBug(error);
  } finally {
    clearInterval(heartbeat);
    body.end();
  }
}

/** 0 when the browser has seen nothing, or says something that is no version. */
function versionOf(lastEventId: string | string[] | undefined): number {
  return /^\d{1,15}$/.test(String(lastEventId)) ? Number(lastEventId) : 0;
}
