/** The promise client: a deadline always, retries of what may be repeated, each attempt to an endpoint of its own choice. */
import { childTraceparent, currentContext } from "./context.ts";
import { isKind, MeshError } from "./errors.ts";
import {
  type AnyMethod,
  type CallOptions,
  type MeshClient,
  methodPath,
  type ServiceDefinition,
} from "./service-definition.ts";
import { statusName } from "./status.ts";
import type { Target } from "./target.ts";

const DEFAULT_TIMEOUT_MS = 1_000;
/** Kept back for our own answer when a deadline is passed on. */
const DEADLINE_MARGIN_MS = 5;
const MAX_ATTEMPTS = 3;
const MIN_BACKOFF_MS = 25;
const MAX_BACKOFF_MS = 250;

/** A method as a client calls it. */
type BoundMethod = {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly method: AnyMethod;
  /** For calls that name no time-out. */
  readonly timeoutMs: number;
};

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
      ? (request: unknown, options: CallOptions = {}) => new Call(target, bound, options).serverStream(request)
      : (request: unknown, options: CallOptions = {}) => new Call(target, bound, options).unary(request);
    return [key, call];
  });
  return Object.fromEntries(methods);
}

/** One call with all its attempts. */
class Call {
  readonly #target: Target;
  readonly #bound: BoundMethod;
  readonly #options: CallOptions;
  readonly #startedMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #tried = new Set<string>();

  constructor(target: Target, bound: BoundMethod, options: CallOptions) {
    this.#target = target;
    this.#bound = bound;
    this.#options = options;
    this.#startedMs = target.dependencies.clock.nowMs();
    this.#signal = signalOf(options);
  }

  async unary(request: unknown): Promise<unknown> {
    const endsMs = this.#endMs(this.#bound.timeoutMs);
    let code = "OK";
    try {
      return await this.#target.admit(this.#remaining(endsMs), this.#signal, () => this.#attempts(request, endsMs));
    } catch (error) {
      code = statusName(error);
      throw error;
    } finally {
      this.#observe(code);
    }
  }

  /** Not counted against the limit of calls: streams stay open. Not repeated: what came has been seen. */
  async *serverStream(request: unknown): AsyncIterable<unknown> {
    const { path, method } = this.#bound;
    const endsMs = this.#endMs(Number.POSITIVE_INFINITY);
    const signal = this.#signal;
    let code = "CANCELLED"; // A stream that neither ends nor fails was left by its reader.
    try {
      const waitMs = Math.min(this.#remaining(endsMs), DEFAULT_TIMEOUT_MS);
      const { connection } = await this.#target.choose(waitMs, signal, this.#tried);
      const timeoutMs = this.#remaining(endsMs);
      yield* connection.serverStream({ path, method, request, headers: this.#headers(), timeoutMs, signal });
      code = "OK";
    } catch (error) {
      code = statusName(error);
      throw error;
    } finally {
      this.#observe(code);
    }
  }

  async #attempts(request: unknown, endsMs: number): Promise<unknown> {
    const { path, method } = this.#bound;
    const target = this.#target;
    const signal = this.#signal;
    for (let attempt = 1; ; attempt += 1) {
      const peer = await target.choose(this.#remaining(endsMs), signal, this.#tried);
      const timeoutMs = this.#remaining(endsMs);
      const once = { path, method, request, headers: this.#headers(), timeoutMs, signal };
      try {
        return await target.attempt(peer, timeoutMs, () => peer.connection.unary(once));
      } catch (error) {
        if (attempt === MAX_ATTEMPTS || !isRetryable(error, method) || signal?.aborted) throw error;
        this.#tried.add(peer.endpoint.address);
        if (!target.mayRetry() || !(await this.#backOff(attempt, endsMs))) throw error;
      }
    }
  }

  /** Sleeps before the next attempt; false when the deadline would pass meanwhile. */
  async #backOff(attempt: number, endsMs: number): Promise<boolean> {
    const { clock, random } = this.#target.dependencies;
    const waitMs = random() * Math.min(MIN_BACKOFF_MS * 2 ** (attempt - 1), MAX_BACKOFF_MS);
    if (clock.nowMs() + waitMs >= endsMs) return false;
    await clock.sleep(waitMs, this.#signal);
    return true;
  }

  /** When the call has to be over: the sooner of its own time-out and what the current call has left, less a margin. */
  #endMs(defaultMs: number): number {
    const ownMs = this.#startedMs + (this.#options.timeoutMs ?? defaultMs);
    const inheritedMs = currentContext()?.deadlineMs ?? Number.POSITIVE_INFINITY;
    return Math.min(ownMs, inheritedMs - DEADLINE_MARGIN_MS);
  }

  #remaining(endsMs: number): number {
    const remainingMs = endsMs - this.#target.dependencies.clock.nowMs();
    if (remainingMs <= 0) throw new MeshError("deadline", "DEADLINE_EXCEEDED", "the deadline passed before an attempt");
    return remainingMs;
  }

  #headers(): Record<string, string> {
    const { random, caller } = this.#target.dependencies;
    const traceparent = childTraceparent(this.#options.traceparent ?? currentContext()?.traceparent, random);
    return { traceparent, "x-mesh-caller": caller };
  }

  #observe(code: string): void {
    const { clock, metrics } = this.#target.dependencies;
    const labels = {
      rpc_system_name: "grpc",
      rpc_method: this.#bound.path.slice(1),
      rpc_status_code: code,
      server_address: this.#target.service,
    };
    metrics.calls.observe(labels, (clock.nowMs() - this.#startedMs) / 1_000);
  }
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
