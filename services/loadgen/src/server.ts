/** The HTTP API over runs, for experiments. It has no users: it listens on loopback, or where only those who may reach it can. */
import { createReadStream } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import type { Run } from "./run.ts";
import { RequestError, readInterval, readName, readRateChange, readRequests, readRunRequest } from "./run-request.ts";
import type { Runs } from "./runs.ts";

const REQUEST_TIMEOUT_MS = 10_000;
const MAX_BODY_CHARACTERS = 4_096;

type Answer = { readonly status: number; readonly body: unknown } | { readonly file: string };
type Request = { readonly run: Run; readonly body: () => Promise<unknown>; readonly query: URLSearchParams };

/** `METHOD /what` of a run that is known. */
const OF_A_RUN: Readonly<Record<string, (request: Request) => Answer | Promise<Answer>>> = {
  "GET ": ({ run }) => ({ status: 200, body: run.view() }),
  "PATCH ": async ({ run, body }) => {
    run.setRate(readRateChange(await body()));
    return { status: 200, body: run.view() };
  },
  "POST finish": async ({ run, body }) => {
    await body();
    void run.finish().catch(() => undefined); // A record that could not be written is told by `GET history`.
    return { status: 202, body: run.view() };
  },
  "POST repeat": async ({ run, body }) => ({ status: 200, body: await run.repeat(readRequests(await body())) }),
  "GET seconds": ({ run, query }) => {
    const seconds = run.seconds(readInterval(query));
    return seconds === undefined ? refuse(404, "these seconds are forgotten") : { status: 200, body: { seconds } };
  },
  "GET history": ({ run }) =>
    run.flush().then(
      () => ({ file: run.file }),
      (error: unknown) => refuse(404, `the record of this run could not be written: ${error}`),
    ),
};

export async function startServer(
  runs: Runs,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    answer(request, response, runs).catch(() => response.destroy());
  });
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve());
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, runs: Runs): Promise<void> {
  const { method = "", url = "/" } = request;
  if (`${method} ${url}` === "GET /metrics") {
    const { registry } = runs.metrics;
    response.writeHead(200, { "content-type": registry.contentType }).end(await registry.metrics());
    return;
  }
  const found = await route(request, runs).catch((error: unknown) =>
    error instanceof RequestError ? refuse(400, error.message) : refuse(500, String(error)),
  );
  if ("file" in found) {
    response.writeHead(200, { "content-type": "application/jsonl" });
    await pipeline(createReadStream(found.file), response);
  } else
    response.writeHead(found.status, { "content-type": "application/json" }).end(`${JSON.stringify(found.body)}\n`);
}

async function route(request: IncomingMessage, runs: Runs): Promise<Answer> {
  const { pathname, searchParams: query } = new URL(request.url ?? "/", "http://loadgen");
  const [, top, encoded, what = "", ...more] = pathname.split("/");
  if (pathname === "/healthz") return { status: 200, body: { status: "ok" } };
  if (pathname === "/runs" && request.method === "GET")
    return { status: 200, body: { runs: runs.all().map((run) => run.view()) } };
  if (top !== "runs" || encoded === undefined || more.length > 0) return refuse(404, "not found");
  const name = readName(encoded);
  const body = () => readBody(request);
  if (request.method === "PUT" && what === "") return start(name, await body(), runs);
  const run = runs.find(name);
  const handle = Object.hasOwn(OF_A_RUN, `${request.method} ${what}`)
    ? OF_A_RUN[`${request.method} ${what}`]
    : undefined;
  if (handle === undefined) return refuse(404, "not found");
  if (run === undefined)
    return refuse(404, runs.isLost(name) ? "the record of this run is lost" : "there is no such run");
  return handle({ run, body, query });
}

/** A run that is known, or whose record an earlier process left behind, is not started again. */
function start(name: string, body: unknown, runs: Runs): Answer {
  const request = readRunRequest(body);
  const known = runs.find(name);
  if (known !== undefined) return { status: 200, body: known.view() };
  if (runs.isLost(name)) return { status: 200, body: { name, state: "Lost" } };
  const run = runs.start(name, request);
  return run === undefined ? refuse(429, "too many runs go on") : { status: 201, body: run.view() };
}

/** @throws RequestError */
async function readBody(request: IncomingMessage): Promise<unknown> {
  if (request.headers["content-type"] !== "application/json")
    throw new RequestError("content-type must be application/json");
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    text += chunk;
    if (text.length > MAX_BODY_CHARACTERS)
      throw new RequestError(`the body must have at most ${MAX_BODY_CHARACTERS} characters`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RequestError("the body must be JSON", { cause: error });
  }
}

function refuse(status: number, error: string): Answer {
  return { status, body: { error } };
}
