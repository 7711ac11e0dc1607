/** The storefront as a fastify app: sessions, headers, problems, metrics; api.ts and pages.ts add the routes. */
import cookie from "@fastify/cookie";
import formbody from "@fastify/formbody";
import swagger from "@fastify/swagger";
import { traceId } from "@ordermesh/mesh/context";
import { MeshError } from "@ordermesh/mesh/errors";
import fastify, { type FastifyInstance, type FastifyRequest } from "fastify";
import { addApi } from "./api.ts";
import { addPages } from "./pages.ts";
import { toProblem } from "./problems.ts";
import { newShop, type ShopOptions } from "./shop.ts";

const BODY_LIMIT_BYTES = 64 * 1024;
const SECURITY_HEADERS = {
  "content-security-policy": "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
};

export async function buildApp(options: ShopOptions): Promise<FastifyInstance> {
  const { metrics, log, cookieSecret } = options;
  const app = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT_BYTES,
    trustProxy: false,
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allErrors: true } },
  });
  const shop = newShop(options);
  await app.register(cookie, { secret: cookieSecret });
  await app.register(formbody);
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Ordermesh storefront", version: "1", description: "Places orders and follows them." },
    },
  });

  app.addHook("onRequest", async (request, reply) => {
    reply.headers(SECURITY_HEADERS);
    refuseForeignOrigin(request);
  });
  app.addHook("onResponse", async (request, reply) => {
    const http_route = request.routeOptions.url ?? "_OTHER";
    const labels = {
      http_request_method: request.method,
      http_route,
      http_response_status_code: String(reply.statusCode),
    };
    metrics.requests.observe(labels, reply.elapsedTime / 1_000);
  });
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error, traceId(shop.callOptions(request).traceparent));
    if (problem.status === 500) log.error({ err: error, "http.route": request.routeOptions.url }, "unexpected error");
    if (problem.status === 503) void reply.header("retry-after", "1");
    return reply.code(problem.status).type("application/problem+json").send(JSON.stringify(problem));
  });
  app.setNotFoundHandler(() => {
    throw new MeshError("not-found", "PAGE_UNKNOWN", "there is nothing here");
  });

  addApi(app, shop);
  await addPages(app, shop);
  app.get("/openapi.json", { schema: { hide: true } }, async () => app.swagger());
  await app.ready();
  return app;
}

/** Browsers name the origin of what they send; another site's page must not act in a visitor's session. */
function refuseForeignOrigin(request: FastifyRequest): void {
  const { origin } = request.headers;
  if (request.method === "GET" || request.method === "HEAD" || origin === undefined) return;
  if (URL.canParse(origin) && new URL(origin).host === request.headers.host) return;
  throw new MeshError("forbidden", "ORIGIN_FOREIGN", "another site's page must not place orders here");
}
