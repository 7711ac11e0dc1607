/** A shop over HTTP that takes every order once, until it is told to be something else. */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export type FakeShop = {
  readonly url: string;
  /** `ok`: takes orders; `broken`: HTTP 503; `hanging`: no answer until it is something else. */
  mode: "ok" | "broken" | "hanging";
  /** Requests for orders, by key. */
  readonly asked: ReadonlyMap<string, number>;
  close(): Promise<void>;
};

export async function startFakeShop(): Promise<FakeShop> {
  const asked = new Map<string, number>();
  const orderIds = new Map<string, string>();
  const server = createServer(async (request, response) => {
    for await (const _ of request); // The body is not looked at.
    while (shop.mode === "hanging") await new Promise((resolve) => setTimeout(resolve, 20));
    if (shop.mode === "broken") return response.writeHead(503).end("{}");
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ orderId: orderIdOf(request), status: "CONFIRMED" }));
  });
  const orderIdOf = ({ method, url = "", headers }: IncomingMessage) => {
    if (method === "GET") return url.split("/").at(-1);
    const key = String(headers["idempotency-key"]);
    asked.set(key, (asked.get(key) ?? 0) + 1);
    const orderId = orderIds.get(key) ?? `order-${orderIds.size + 1}`;
    orderIds.set(key, orderId);
    return orderId;
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const shop: FakeShop = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    mode: "ok",
    asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return shop;
}
