/**
 * Requests to an API server. Why these and not the generated client's: docs/decisions/0026-requests-to-the-api-server.md.
 * Every request has an end: by its time-out, or for a stream by silence.
 */
import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { createInterface } from "node:readline";
import { KubeError } from "./kube-error.ts";

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export type Call = {
  /** As `/apis/apps/v1/namespaces/shop/deployments`; use `pathOf`. */
  readonly path: string;
  readonly query?: Query;
  readonly signal?: AbortSignal;
};

/** How a PATCH's body is meant. The generated client's default, a JSON patch, is one that has to be asked for here. */
export const PATCH_TYPES = {
  merge: "application/merge-patch+json",
  json: "application/json-patch+json",
  strategic: "application/strategic-merge-patch+json",
} as const;

/** Objects come as the server sent them; the caller says what it reads of them. */
// biome-ignore lint/suspicious/noExplicitAny: the API server's schema is the type.
export type KubeObject = any;

export type KubeApi = {
  readonly get: (call: Call) => Promise<KubeObject>;
  readonly create: (call: Call, body: object) => Promise<KubeObject>;
  readonly replace: (call: Call, body: object) => Promise<KubeObject>;
  readonly patch: (call: Call, type: keyof typeof PATCH_TYPES, body: object) => Promise<KubeObject>;
  /** @param options DeleteOptions, as `{preconditions: {uid}}` */
  readonly remove: (call: Call, options?: object) => Promise<KubeObject>;
  /** One line after another of an answer without end; ends when the server ends it. @throws KubeError also after `silenceMs` without a line */
  readonly lines: (call: Call, silenceMs: number) => AsyncIterable<string>;
};

/** Where the server is, and what makes a request ours; asked anew for each, as tokens are renewed. */
export type Target = { readonly server: string; readonly authorize: (options: RequestOptions) => Promise<void> };

const MAX_BODY_CHARACTERS = 64 * 1024 ** 2;

/** `/apis/<group>/<version>/namespaces/<namespace>/<parts>`, each part encoded; the core group has no name. */
export function pathOf(apiVersion: string, namespace: string | undefined, ...parts: readonly string[]): string {
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const scope = namespace === undefined ? [] : ["namespaces", namespace];
  return [root, ...[...scope, ...parts].map(encodeURIComponent)].join("/");
}

/** @param timeoutMs of each request but streams */
export function newKubeApi(target: Target, timeoutMs: number): KubeApi {
  const ask = async (method: string, call: Call, contentType?: string, body?: object) => {
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = call.signal === undefined ? timeout : AbortSignal.any([call.signal, timeout]);
    const response = await send(target, method, { ...call, signal }, contentType, body);
    return await readObject(response);
  };
  return {
    get: (call) => ask("GET", call),
    create: (call, body) => ask("POST", call, "application/json", body),
    replace: (call, body) => ask("PUT", call, "application/json", body),
    patch: (call, type, body) => ask("PATCH", call, PATCH_TYPES[type], body),
    remove: (call, options) => ask("DELETE", call, "application/json", options),
    lines: (call, silenceMs) => readLines(target, call, silenceMs),
  };
}

async function send(
  { server, authorize }: Target,
  method: string,
  { path, query = {}, signal }: Call,
  contentType?: string,
  body?: object,
): Promise<IncomingMessage> {
  const url = new URL(server);
  url.pathname = url.pathname.replace(/\/$/, "") + path;
  for (const [key, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(key, String(value));
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const options: RequestOptions = { method, ...(signal === undefined ? {} : { signal }) };
  await authorize(options);
  options.headers = {
    ...options.headers,
    accept: "application/json",
    "user-agent": "ordermesh-chaos",
    ...(payload === undefined
      ? {}
      : { "content-type": contentType ?? "application/json", "content-length": Buffer.byteLength(payload) }),
  };
  return await new Promise((resolve, reject) => {
    const request = url.protocol === "http:" ? httpRequest(url, options) : httpsRequest(url, options);
    request.on("error", (error) => reject(noAnswer(error)));
    request.on("response", (response) => {
      const { statusCode = 0 } = response;
      if (statusCode < 300) resolve(response);
      else readBody(response).then((text) => reject(errorOf(response, text)), reject);
    });
    request.end(payload);
  });
}

async function readObject(response: IncomingMessage): Promise<KubeObject> {
  const text = await readBody(response);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new KubeError(0, "NotJson", "the API server's answer is not JSON", { cause: error });
  }
}

async function readBody(response: IncomingMessage): Promise<string> {
  let text = "";
  try {
    for await (const chunk of response.setEncoding("utf8")) {
      text += chunk;
      if (text.length > MAX_BODY_CHARACTERS) throw new Error(`longer than ${MAX_BODY_CHARACTERS} characters`);
    }
  } catch (error) {
    throw noAnswer(error);
  }
  return text;
}

function errorOf({ statusCode = 0, headers }: IncomingMessage, text: string): KubeError {
  const retryAfterMs = (Number(headers["retry-after"]) || 0) * 1_000;
  try {
    const { reason = "", message = "" } = JSON.parse(text);
    return new KubeError(statusCode, String(reason), String(message), { retryAfterMs });
  } catch {
    return new KubeError(statusCode, "Unknown", `the API server answered ${statusCode}`, { retryAfterMs });
  }
}

function noAnswer(error: unknown): KubeError {
  const why = error instanceof Error ? error.message : String(error);
  return new KubeError(0, "NoAnswer", `the API server did not answer: ${why}`, { cause: error });
}

async function* readLines(target: Target, call: Call, silenceMs: number): AsyncGenerator<string> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), silenceMs);
  const signal = call.signal === undefined ? silence.signal : AbortSignal.any([call.signal, silence.signal]);
  try {
    const response = await send(target, "GET", { ...call, signal });
    for await (const line of createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY })) {
      timer = renew(timer, () => silence.abort(), silenceMs);
      yield line;
    }
    if (!response.complete) throw new Error(silence.signal.aborted ? "it said nothing for too long" : "it hung up");
  } catch (error) {
    throw error instanceof KubeError ? error : noAnswer(error);
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

function renew(timer: NodeJS.Timeout, work: () => void, ms: number): NodeJS.Timeout {
  clearTimeout(timer);
  return setTimeout(work, ms);
}
