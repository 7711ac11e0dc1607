/**
 * An API server in a few lines, for tests of what a real one rarely does: cut and silent watches, half lines, old revisions, refusals.
 * It shares our understanding of Kubernetes, so that what it cannot show is tested against a real one.
 */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { KubeObject } from "./kube-api.ts";

type Watch = { readonly collection: string; readonly response: ServerResponse; isSilent: boolean };
type Answer = { readonly status: number; readonly body: KubeObject };
/** `status` 0 hangs up without an answer. */
export type Trouble = { readonly method: string; readonly path: RegExp; readonly status: number; times: number };

export class FakeApiServer {
  readonly #server: Server;
  /** By path, as `/api/v1/namespaces/shop/pods/a`. */
  readonly #objects = new Map<string, KubeObject>();
  readonly #watches = new Set<Watch>();
  readonly #troubles: Trouble[] = [];
  /** `<method> <path>` of all requests. */
  readonly requests: string[] = [];
  #revision = 100;
  #areRevisionsOld = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<FakeApiServer> {
    const server = createServer();
    const fake = new FakeApiServer(server);
    server.on("request", (request, response) => void fake.#answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** The next `times` requests of that kind are answered so. */
  trouble(trouble: Trouble): void {
    this.#troubles.push(trouble);
  }

  get openWatches(): number {
    return this.#watches.size;
  }

  /** Ends all watches, with half a line first if asked. */
  cutWatches(half = ""): void {
    for (const { response } of this.#watches) {
      if (half === "") response.socket?.destroy();
      else response.end(half);
    }
    this.#watches.clear();
  }

  /** Open watches hear nothing any more, though their connections stay. */
  silenceWatches(): void {
    for (const watch of this.#watches) watch.isSilent = true;
  }

  /** The next watch finds its revision too old. */
  forgetRevisions(): void {
    this.#areRevisionsOld = true;
  }

  get(path: string): KubeObject | undefined {
    return this.#objects.get(path);
  }

  paths(): string[] {
    return [...this.#objects.keys()];
  }

  put(path: string, object: KubeObject): KubeObject {
    const before = this.#objects.get(path);
    this.#revision += 1;
    const metadata = {
      uid: before?.metadata.uid ?? randomUUID(),
      generation: 1,
      creationTimestamp: before?.metadata.creationTimestamp ?? new Date().toISOString(),
      ...object.metadata,
      name: path.split("/").at(-1),
      resourceVersion: String(this.#revision),
    };
    const stored = { ...object, metadata };
    const isGone = metadata.deletionTimestamp !== undefined && !metadata.finalizers?.length;
    if (isGone) this.#objects.delete(path);
    else this.#objects.set(path, stored);
    this.#tell(path, isGone ? "DELETED" : before === undefined ? "ADDED" : "MODIFIED", stored);
    return stored;
  }

  delete(path: string): void {
    const object = this.#objects.get(path);
    if (object === undefined) return;
    this.put(path, { ...object, metadata: { ...object.metadata, deletionTimestamp: new Date().toISOString() } });
  }

  #tell(path: string, type: string, object: KubeObject): void {
    const collection = path.slice(0, path.lastIndexOf("/"));
    for (const watch of this.#watches)
      if (watch.collection === collection && !watch.isSilent)
        watch.response.write(`${JSON.stringify({ type, object })}\n`);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "/", this.url);
    const method = request.method ?? "GET";
    this.requests.push(`${method} ${pathname}`);
    let text = "";
    for await (const chunk of request.setEncoding("utf8")) text += chunk;
    const trouble = this.#troubles.find((one) => one.times > 0 && one.method === method && one.path.test(pathname));
    if (trouble !== undefined) {
      trouble.times -= 1;
      if (trouble.status === 0) response.socket?.destroy();
      else send(response, refusal(trouble.status, "Trouble"));
      return;
    }
    if (searchParams.has("watch")) this.#watch(pathname, response);
    else send(response, this.#do(method, pathname, text === "" ? undefined : JSON.parse(text)));
  }

  #watch(collection: string, response: ServerResponse): void {
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    if (this.#areRevisionsOld) {
      this.#areRevisionsOld = false;
      const object = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" };
      response.end(`${JSON.stringify({ type: "ERROR", object })}\n`);
      return;
    }
    const watch = { collection, response, isSilent: false };
    this.#watches.add(watch);
    response.on("close", () => this.#watches.delete(watch));
  }

  #do(method: string, path: string, body: KubeObject): Answer {
    if (method === "POST") {
      const name = body.metadata.name ?? body.metadata.generateName + randomUUID().slice(0, 5);
      if (this.#objects.has(`${path}/${name}`)) return refusal(409, "AlreadyExists");
      return { status: 201, body: this.put(`${path}/${name}`, body) };
    }
    const isStatus = path.endsWith("/status");
    const key = isStatus ? path.slice(0, -"/status".length) : path;
    const object = this.#objects.get(key);
    if (object === undefined) return method === "GET" ? this.#list(path) : refusal(404, "NotFound");
    if (method === "GET") return { status: 200, body: object };
    if (method === "DELETE") return this.#remove(key, object, body);
    const version = body.metadata?.resourceVersion;
    if (version !== undefined && version !== object.metadata.resourceVersion) return refusal(409, "Conflict");
    const next = method === "PUT" ? body : merge(object, body);
    const stored = isStatus ? { ...object, status: next.status } : { ...next, status: object.status };
    return { status: 200, body: this.put(key, stored) };
  }

  #remove(key: string, object: KubeObject, options: KubeObject): Answer {
    const { uid } = options?.preconditions ?? {};
    if (uid !== undefined && uid !== object.metadata.uid) return refusal(409, "Conflict");
    this.delete(key);
    return { status: 200, body: object };
  }

  /** Of a collection; a path of an object that is not there has one part more, and names nothing. */
  #list(path: string): Answer {
    const isObject = (path.split("/namespaces/")[1]?.split("/").length ?? 0) % 2 === 1;
    if (isObject) return refusal(404, "NotFound");
    const items = [...this.#objects].filter(([key]) => key.slice(0, key.lastIndexOf("/")) === path);
    const metadata = { resourceVersion: String(this.#revision) };
    return { status: 200, body: { metadata, items: items.map(([, object]) => object) } };
  }
}

function merge(object: KubeObject, patch: KubeObject): KubeObject {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const merged = { ...object };
  for (const [key, value] of Object.entries(patch))
    if (value === null) delete merged[key];
    else merged[key] = merge(merged[key] ?? {}, value);
  return merged;
}

function send(response: ServerResponse, { status, body }: Answer): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function refusal(status: number, reason: string): Answer {
  return { status, body: { kind: "Status", code: status, reason, message: `${reason}, says the test` } };
}
