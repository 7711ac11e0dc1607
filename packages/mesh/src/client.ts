/** The promise client: a deadline always, retries of what may be repeated, each attempt to an endpoint of its own choice. */
import { abortWith } from "./abort-with.ts";
import { childTraceparent, currentContext } from "./context.ts";
import { isKind, MeshError, NotBegunError } from "./errors.ts";
import type { FaultRule } from "./fault-rule.ts";
import type { Peer } from "./peer.ts";
import type { Policy } from "./policy.ts";
import {
  type AnyMethod,
  type CallOptions,
  type MeshClient,
  methodPath,
  type ServiceDefinition,
} from "./service-definition.ts";
import { statusName } from "./status.ts";
import type { Asked, Target } from "./target.ts";

const DEFAULT_TIMEOUT_MS = 1_000;
/** Kept back for our own answer when a deadline is passed on. */
const DEADLINE_MARGIN_MS = 5;
const NO_HEADERS: Readonly<Record<string, string>> = {};
const LATE = Symbol("late");

/** A method as a client calls it. */
type BoundMethod = {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly method: AnyMethod;
  /** For calls that name no time-out. */
  readonly timeoutMs: number;
};

/** One attempt under way. */
type BegunAttempt = {
  readonly peer: Peer;
  readonly number: number;
  readonly startMs: number;
  readonly headers: Readonly<Record<string, string>>;
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
  readonly #policy: Policy;
  readonly #tried = new Set<string>();
  #attemptsMade = 0;

  constructor(target: Target, bound: BoundMethod, options: CallOptions) {
    this.#target = target;
    this.#bound = bound;
    this.#options = options;
    this.#policy = target.policy(bound.method.name);
    this.#startedMs = target.dependencies.clock.nowMs();
    this.#signal = signalOf(options);
  }

  async unary(request: unknown): Promise<unknown> {
    const endsMs = this.#endMs(this.#policy.timeoutMs ?? this.#bound.timeoutMs);
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
      const fault = this.#target.fault(method.name);
      if (fault !== undefined) await this.#disturb(fault, endsMs);
      const { connection } = await this.#choose(waitMs, signal);
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
    if (this.#policy.mirror !== undefined)
      this.#target.mirror.copy(this.#policy, { path, method, request, headers: this.#headers() });
    const { attempts } = this.#policy.retries;
    for (let attempt = 1; ; attempt += 1)
      try {
        return this.#isHedged ? await this.#hedged(request, endsMs) : await this.#once(request, endsMs, this.#signal);
      } catch (error) {
        if (attempt === attempts || !this.#isRetryable(error, endsMs) || this.#signal?.aborted) throw error;
        if (!this.#target.mayRetry(this.#policy) || !(await this.#backOff(attempt, endsMs))) throw error;
      }
  }

  async #once(request: unknown, endsMs: number, signal: AbortSignal | undefined): Promise<unknown> {
    const { path, method } = this.#bound;
    const fault = this.#target.fault(method.name);
    if (fault !== undefined) await this.#disturb(fault, endsMs);
    const peer = this.#tryChoose(signal) ?? (await this.#choose(this.#remaining(endsMs), signal));
    const timeoutMs = Math.min(
      this.#remaining(endsMs),
      this.#policy.retries.perTryTimeoutMs ?? Number.POSITIVE_INFINITY,
    );
    const headers = this.#headers();
    const attempt = { path, method, request, headers, timeoutMs, signal };
    this.#attemptsMade += 1;
    const begun = { peer, number: this.#attemptsMade, startMs: this.#target.dependencies.clock.wallMs(), headers };
    const work = () => peer.connection.unary(attempt);
    return await this.#target.attempt(peer, timeoutMs, work, (code) => this.#attemptEnded(begun, code));
  }

  get #isHedged(): boolean {
    return this.#policy.hedging !== undefined && this.#bound.method.options.idempotencyLevel !== undefined;
  }

  /** A second attempt elsewhere when the first keeps us waiting; the first answer counts, the other attempt is cancelled. */
  async #hedged(request: unknown, endsMs: number): Promise<unknown> {
    const { delayMs = 0 } = this.#policy.hedging ?? {};
    const done = abortWith(this.#signal);
    const { signal } = done;
    const first = this.#once(request, endsMs, signal);
    try {
      const late = this.#target.dependencies.clock.sleep(delayMs, signal).then(() => LATE);
      const winner = await Promise.race([first, late]);
      if (winner !== LATE) return winner;
      if (!this.#target.mayRetry(this.#policy)) return await first;
      return await Promise.any([first, this.#once(request, endsMs, signal)]);
    } catch (error) {
      throw error instanceof AggregateError ? error.errors[0] : error;
    } finally {
      done.abort();
    }
  }

  /** What an operator has injected: a pause, an error, or both. @throws MeshError FAULT_INJECTED */
  async #disturb({ delayMs = 0, abort }: FaultRule, endsMs: number): Promise<void> {
    if (delayMs > 0)
      await this.#target.dependencies.clock.sleep(Math.min(delayMs, this.#remaining(endsMs)), this.#signal);
    if (abort !== undefined) throw new MeshError(abort, "FAULT_INJECTED", "a fault rule aborted the attempt");
  }

  /** Without waiting: undefined when there is no endpoint, or the call is cancelled. */
  #tryChoose(signal: AbortSignal | undefined): Peer | undefined {
    const peer = signal?.aborted ? undefined : this.#target.tryChoose(this.#asked);
    if (peer !== undefined) this.#tried.add(peer.endpoint.address);
    return peer;
  }

  get #asked(): Asked {
    return { policy: this.#policy, headers: this.#options.headers ?? NO_HEADERS, tried: this.#tried };
  }

  async #choose(timeoutMs: number, signal: AbortSignal | undefined): Promise<Peer> {
    const peer = await this.#target.choose(timeoutMs, signal, this.#asked);
    this.#tried.add(peer.endpoint.address);
    return peer;
  }

  /** What no server began; else only what may be repeated, and only when nobody answered (AIP-194), a server had too much to do, or a single attempt took too long. */
  #isRetryable(error: unknown, endsMs: number): boolean {
    if (error instanceof NotBegunError) return true;
    if (this.#bound.method.options.idempotencyLevel === undefined) return false;
    const { clock } = this.#target.dependencies;
    const isTryOver = this.#policy.retries.perTryTimeoutMs !== undefined && clock.nowMs() < endsMs;
    const isShed = isKind(error, "exhausted") && error.reason === "SERVER_OVERLOADED" && this.#isElsewhere;
    return isShed || isKind(error, "unavailable") || (isTryOver && isKind(error, "deadline"));
  }

  /** Whether there is an endpoint that has not been asked: the one that has too much to do is not helped by asking again. */
  get #isElsewhere(): boolean {
    return this.#tried.size < this.#target.size;
  }

  /** Sleeps before the next attempt; false when the deadline would pass meanwhile. */
  async #backOff(attempt: number, endsMs: number): Promise<boolean> {
    const { clock, random } = this.#target.dependencies;
    const { backoffBaseMs, backoffMaxMs } = this.#policy.retries;
    const waitMs = random() * Math.min(backoffBaseMs * 2 ** (attempt - 1), backoffMaxMs);
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
    return { ...this.#options.headers, traceparent, "x-mesh-caller": caller };
  }

  #attemptEnded({ peer, number, startMs, headers }: BegunAttempt, code: string): void {
    const { metrics, recordSpan, clock } = this.#target.dependencies;
    const { service } = this.#target;
    const { version, instance } = peer.endpoint;
    const name = this.#bound.path.slice(1);
    metrics.attempts.add({
      server_address: service,
      server_version: version,
      rpc_method: name,
      rpc_status_code: code,
      attempt: number,
    });
    recordSpan?.({
      name,
      kind: "client",
      traceparent: headers.traceparent ?? "",
      parent: this.#options.traceparent ?? currentContext()?.traceparent,
      startMs,
      endMs: clock.wallMs(),
      code,
      attributes: {
        "server.address": service,
        "mesh.instance": instance,
        "mesh.version": version,
        "mesh.attempt": number,
      },
    });
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
