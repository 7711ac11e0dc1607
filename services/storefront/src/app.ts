/** The storefront as a fastify app: headers, origins, failures, metrics; api.ts, events.ts and pages.ts add the routes. */
import type { Socket } from "node:net";
import cookie from "@fastify/cookie";
import formbody from "@fastify/formbody";
import swagger from "@fastify/swagger";
import { traceId } from "@ordermesh/mesh/context";
import { MeshError } from "@ordermesh/mesh/errors";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { addApi } from "./api.ts";
import { addEvents } from "./events.ts";
import { showPage } from "./page.ts";
import { addPages } from "./pages.ts";
import { toProblem } from "./problems.ts";
import { newShop, type Shop, type ShopOptions } from "./shop.ts";

const BODY_LIMIT_BYTES = 64 * 1024;
/** For the whole request to arrive, headers and body. */
const REQUEST_TIMEOUT_MS = 10_000;
const RETRY_AFTER_S = 1;
const SECURITY_HEADERS = {
  "content-security-policy": "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
};
const OPENAPI = {
  openapi: "3.1.0",
  info: {
    title: "Ordermesh storefront",
    version: "1",
    description: "Places orders and follows them. Failures are RFC 9457 problems; their `reason` is stable.",
  },
};

/** Ready to listen. `close` ends open event streams first. */
export async function buildApp(options: ShopOptions): Promise<FastifyInstance> {
  const shop = newShop(options);
  const app = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allErrors: true } },
    frameworkErrors: (error, request, reply) => fail(error, request, reply, shop),
  });
  app.removeContentTypeParser("text/plain");
  await app.register(cookie, { secret: options.cookieSecret });
  await app.register(formbody);
  await app.register(swagger, { openapi: OPENAPI });

  app.addHook("onRequest", async (request, reply) => {
    reply.headers(SECURITY_HEADERS);
    refuseForeignOrigin(request);
  });
  app.addHook("onSend", (_request, reply, payload, done) => {
    if (options.stopping.aborted) void reply.header("connection", "close"); // Kept connections move to another process.
    done(null, payload);
  });
  app.addHook("onResponse", async (request, reply) => {
    const labels = {
      http_request_method: request.method,
      http_route: request.routeOptions.url ?? "_OTHER",
      http_response_status_code: String(reply.statusCode),
    };
    options.metrics.requests.observe(labels, reply.elapsedTime / 1_000);
  });
  app.setErrorHandler((error, request, reply) => fail(error, request, reply, shop));
  app.setNotFoundHandler((request, reply) =>
    fail(new MeshError("not-found", "PAGE_UNKNOWN", "there is nothing at this address"), request, reply, shop),
  );

  closeUnused(app);
  addApi(app, shop);
  addEvents(app, shop);
  await addPages(app, shop);
  app.get("/openapi.json", { schema: { hide: true } }, async () => app.swagger());
  await app.ready();
  return app;
}

/** Answers with a problem: as a page to who looks for one, else as JSON. */
function fail(error: unknown, request: FastifyRequest, reply: FastifyReply, shop: Shop): void {
  const problem = toProblem(error, traceId(shop.callOptions(request).traceparent));
  if (problem.status === 500) shop.reportBug(error, request);
  void reply.code(problem.status).headers(SECURITY_HEADERS);
  if (problem.status === 503 || problem.status === 429) void reply.header("retry-after", RETRY_AFTER_S);
  const wantsPage = request.headers.accept?.includes("text/html") === true && !request.url.startsWith("/api/");
  if (wantsPage) void showPage(request, reply, "problem", { title: problem.title, problem });
  else void reply.type("application/problem+json").send(JSON.stringify(problem));
}

/** Browsers connect ahead of need. Node does not count such a connection as idle, and would wait for its first request. */
function closeUnused(app: FastifyInstance): void {
  const sockets = new Set<Socket>();
  app.server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  app.addHook("preClose", async () => {
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  });
}

/** Browsers name the origin of what they send; another site's page must not act in a visitor's session. */
function refuseForeignOrigin(request: FastifyRequest): void {
  const { origin } = request.headers;
  if (request.method === "GET" || request.method === "HEAD" || origin === undefined) return;
  if (URL.canParse(origin) && new URL(origin).host === request.headers.host) return;
  throw new MeshError("forbidden", "ORIGIN_FOREIGN", "the pages of another site may not do this");
}
