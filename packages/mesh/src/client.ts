/** The promise client: a deadline always, retries of what may be repeated, each attempt to an endpoint of its own choice. */
import type { Balancer } from "./balancer.ts";
import type { Clock, Random } from "./clock.ts";
import type { Connect, Connection } from "./connection.ts";
import { childTraceparent, currentContext } from "./context.ts";
import type { Endpoint } from "./endpoint.ts";
import type { EndpointTable } from "./endpoint-table.ts";
import { isKind, MeshError } from "./errors.ts";
import type { MeshMetrics } from "./metrics.ts";
import {
  type AnyMethod,
  type CallOptions,
  type MeshClient,
  methodPath,
  type ServiceDefinition,
} from "./service-definition.ts";
import { statusName } from "./status.ts";

const DEFAULT_TIMEOUT_MS = 1_000;
/** Kept back for our own answer when a deadline is passed on. */
const DEADLINE_MARGIN_MS = 5;
const MAX_ATTEMPTS = 3;
const MIN_BACKOFF_MS = 25;
const MAX_BACKOFF_MS = 250;

export type Dependencies = {
  readonly table: EndpointTable;
  readonly connect: Connect;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: MeshMetrics;
  /** Name of the calling service. */
  readonly caller: string;
};

/** A method as a client calls it. */
type BoundMethod = {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly method: AnyMethod;
  /** For calls that name no time-out. */
  readonly timeoutMs: number;
};

/** All calls to one service: its connections and its balancer. */
export class Target {
  readonly service: string;
  readonly #dependencies: Dependencies;
  readonly #balancer: Balancer;
  /** By instance: a new instance at a known address does not inherit the old one's reconnection back-off. */
  readonly #connections = new Map<string, Connection>();

  constructor(service: string, balancer: Balancer, dependencies: Dependencies) {
    this.service = service;
    this.#dependencies = dependencies;
    this.#balancer = balancer;
    dependencies.table.onChange(() => this.#closeGone());
  }

  get connections(): Iterable<Connection> {
    return this.#connections.values();
  }

  async unary(bound: BoundMethod, request: unknown, options: CallOptions): Promise<unknown> {
    const startedMs = this.#dependencies.clock.nowMs();
    let code = "OK";
    try {
      return await this.#attempts(bound, request, options);
    } catch (error) {
      code = statusName(error);
      throw error;
    } finally {
      this.#observe(bound.path, code, startedMs);
    }
  }

  async *serverStream({ path, method }: BoundMethod, request: unknown, options: CallOptions): AsyncIterable<unknown> {
    const startedMs = this.#dependencies.clock.nowMs();
    const endsMs = endOfCall(this.#dependencies.clock, options, Number.POSITIVE_INFINITY);
    const signal = signalOf(options);
    let code = "CANCELLED"; // A stream that neither ends nor fails was left by its reader.
    try {
      const connection = await this.#choose(Math.min(this.#remaining(endsMs), DEFAULT_TIMEOUT_MS), signal, new Set());
      const timeoutMs = this.#remaining(endsMs);
      yield* connection.serverStream({ path, method, request, headers: this.#headers(options), timeoutMs, signal });
      code = "OK";
    } catch (error) {
      code = statusName(error);
      throw error;
    } finally {
      this.#observe(path, code, startedMs);
    }
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  async #attempts(bound: BoundMethod, request: unknown, options: CallOptions): Promise<unknown> {
    const { path, method } = bound;
    const endsMs = endOfCall(this.#dependencies.clock, options, bound.timeoutMs);
    const signal = signalOf(options);
    const tried = new Set<string>();
    for (let attempt = 1; ; attempt += 1) {
      const connection = await this.#choose(this.#remaining(endsMs), signal, tried);
      const timeoutMs = this.#remaining(endsMs);
      try {
        return await connection.unary({ path, method, request, headers: this.#headers(options), timeoutMs, signal });
      } catch (error) {
        if (attempt === MAX_ATTEMPTS || !isRetryable(error, method) || signal?.aborted) throw error;
        tried.add(connection.address);
        if (!(await this.#backOff(attempt, endsMs, signal))) throw error;
        this.#dependencies.metrics.retries.inc({ server_address: this.service });
      }
    }
  }

  /** Sleeps before the next attempt; false when the deadline would pass meanwhile. */
  async #backOff(attempt: number, endsMs: number, signal: AbortSignal | undefined): Promise<boolean> {
    const { clock, random } = this.#dependencies;
    const waitMs = random() * Math.min(MIN_BACKOFF_MS * 2 ** (attempt - 1), MAX_BACKOFF_MS);
    if (clock.nowMs() + waitMs >= endsMs) return false;
    await clock.sleep(waitMs, signal);
    return true;
  }

  /**
   * @throws MeshError unavailable NO_ENDPOINTS when none is known after `timeoutMs`
   * @throws MeshError cancelled CALL_CANCELLED
   */
  async #choose(timeoutMs: number, signal: AbortSignal | undefined, tried: ReadonlySet<string>): Promise<Connection> {
    const { table } = this.#dependencies;
    let endpoints: readonly Endpoint[] = table.of(this.service);
    if (endpoints.length === 0) endpoints = await table.waitFor(this.service, timeoutMs, signal);
    if (signal?.aborted) throw new MeshError("cancelled", "CALL_CANCELLED", "the caller cancelled the call");
    if (endpoints.length === 0)
      throw new MeshError("unavailable", "NO_ENDPOINTS", `no endpoint of ${this.service} is registered`);
    const candidates = endpoints.map((endpoint) => ({
      endpoint,
      isFailing: this.#connections.get(endpoint.instance)?.state === "failing",
    }));
    return this.#connection(this.#balancer.pick(candidates, tried));
  }

  #connection({ instance, address }: Endpoint): Connection {
    const known = this.#connections.get(instance);
    if (known?.address === address) return known;
    known?.close();
    const made = this.#dependencies.connect(address);
    this.#connections.set(instance, made);
    return made;
  }

  #closeGone(): void {
    const instances = new Set(this.#dependencies.table.of(this.service).map(({ instance }) => instance));
    for (const [instance, connection] of this.#connections) {
      if (instances.has(instance)) continue;
      this.#connections.delete(instance);
      connection.close();
    }
  }

  #observe(path: string, code: string, startedMs: number): void {
    const { clock, metrics } = this.#dependencies;
    const labels = {
      rpc_system_name: "grpc",
      rpc_method: path.slice(1),
      rpc_status_code: code,
      server_address: this.service,
    };
    metrics.calls.observe(labels, (clock.nowMs() - startedMs) / 1_000);
  }

  #remaining(endsMs: number): number {
    const remainingMs = endsMs - this.#dependencies.clock.nowMs();
    if (remainingMs <= 0) throw new MeshError("deadline", "DEADLINE_EXCEEDED", "the deadline passed before an attempt");
    return remainingMs;
  }

  #headers(options: CallOptions): Record<string, string> {
    const { random, caller } = this.#dependencies;
    const traceparent = childTraceparent(options.traceparent ?? currentContext()?.traceparent, random);
    return { traceparent, "x-mesh-caller": caller };
  }
}

/** A client whose methods are the definition's. */
export function createClient<S extends ServiceDefinition>(
  definition: S,
  target: Target,
  timeoutMs = DEFAULT_TIMEOUT_MS,
): MeshClient<S> {
  const methods = Object.entries(definition.methods).map(([key, method]) => {
    const path = methodPath(definition, method);
    if (method.requestStream) throw new TypeError(`${path}: client streams are not supported`);
    const bound: BoundMethod = { path, method, timeoutMs };
    const call = method.responseStream
      ? (request: unknown, options: CallOptions = {}) => target.serverStream(bound, request, options)
      : (request: unknown, options: CallOptions = {}) => target.unary(bound, request, options);
    return [key, call];
  });
  return Object.fromEntries(methods);
}

/** When the call has to be over: the sooner of its own time-out and what the current call has left, less a margin. */
function endOfCall(clock: Clock, options: CallOptions, defaultMs: number): number {
  const ownMs = clock.nowMs() + (options.timeoutMs ?? defaultMs);
  const inheritedMs = currentContext()?.deadlineMs ?? Number.POSITIVE_INFINITY;
  return Math.min(ownMs, inheritedMs - DEADLINE_MARGIN_MS);
}

function signalOf({ signal }: CallOptions): AbortSignal | undefined {
  const inherited = currentContext()?.signal;
  if (signal === undefined || inherited === undefined) return signal ?? inherited;
  return AbortSignal.any([signal, inherited]);
}

/** Only what may be repeated, and only when nobody answered (AIP-194). */
function isRetryable(error: unknown, method: AnyMethod): boolean {
  return method.options.idempotencyLevel !== undefined && isKind(error, "unavailable");
}
