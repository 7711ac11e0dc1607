/** The admin HTTP server of every process: metrics, probes, the mesh's view, and faults where tests allow them. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry } from "prom-client";
import { armFailpoints, failpointHits } from "./failpoints.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { breakConnections, stall, stalled } from "./process-faults.ts";

const REQUEST_TIMEOUT_MS = 10_000;
const MAX_BODY_BYTES = 4_096;

type Options = {
  readonly host: string;
  readonly port: number;
  readonly registry: Registry;
  readonly lifecycle: Lifecycle;
  readonly debug: () => unknown;
};

type Answer = { readonly status: number; readonly type: string; readonly body: string };

export async function startAdmin(options: Options): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    route(request, options).then(
      (answer) => send(response, answer),
      (error: unknown) => send(response, json(500, { error: error instanceof Error ? error.message : "unexpected" })),
    );
  });
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function route(request: IncomingMessage, { registry, lifecycle, debug }: Options): Promise<Answer> {
  switch (`${request.method} ${request.url}`) {
    case "GET /metrics":
      return { status: 200, type: registry.contentType, body: await registry.metrics() };
    case "GET /healthz":
      return json(200, { status: "ok" });
    case "GET /readyz": {
      const reasons = lifecycle.unreadyReasons();
      const isReady = Object.keys(reasons).length === 0;
      return json(isReady ? 200 : 503, { status: isReady ? "ready" : "not ready", reasons });
    }
    case "GET /debug/mesh":
      return json(200, debug());
    case "GET /debug/failpoints":
    case "PUT /debug/failpoints":
      return await routeFault(request, failpointHits, (body) => {
        armFailpoints(body);
        return failpointHits();
      });
    case "GET /debug/stall":
    case "PUT /debug/stall":
      return await routeFault(request, stalled, (body) => {
        stall(body);
        return stalled();
      });
    case "PUT /debug/connections":
      return await routeFault(request, () => undefined, breakConnections);
    default:
      return json(404, { error: "not found" });
  }
}

/** Only where failpoints are allowed is any of them there. */
async function routeFault(
  request: IncomingMessage,
  look: () => unknown,
  act: (body: string) => unknown,
): Promise<Answer> {
  if (failpointHits() === undefined) return json(404, { error: "not found" });
  if (request.method !== "PUT") return json(200, look());
  try {
    return json(200, act(await readBody(request)));
  } catch (error) {
    return json(400, { error: error instanceof Error ? error.message : "not valid" });
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) {
    body += chunk;
    if (body.length > MAX_BODY_BYTES) throw new Error(`the body must have at most ${MAX_BODY_BYTES} characters`);
  }
  return body;
}

function json(status: number, value: unknown): Answer {
  return { status, type: "application/json", body: `${JSON.stringify(value)}\n` };
}

function send(response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, { "content-type": type }).end(body);
}

function listen(server: Server, { host, port }: Options): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve());
  });
}
