/**
 * Serves generated definitions with plain async functions. grpc-js calls handlers in a synchronous try, sends any Error's
 * text to the caller and has no signal; `serveCall` is the one place that mends all three.
 */
import {
  type Metadata,
  Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import type { Admission } from "@ordermesh/mesh/admission";
import type { Clock, Random } from "@ordermesh/mesh/clock";
import { type CallContext, childTraceparent, runInContext } from "@ordermesh/mesh/context";
import { MeshError } from "@ordermesh/mesh/errors";
import type { IdentitySource } from "@ordermesh/mesh/identity";
import { type AnyMethod, methodPath } from "@ordermesh/mesh/service-definition";
import type { RecordSpan } from "@ordermesh/mesh/span";
import { statusName, toStatus } from "@ordermesh/mesh/status";
import type { GrpcService, Handler } from "./grpc-service.ts";
import { boundResets, guardHttp2, SERVER_LIMITS, type ServerLimits } from "./http2-guard.ts";
import { type Listener, PlainListener } from "./listener.ts";
import type { Logger } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { SecureListener } from "./secure-listener.ts";
import { refuseBrokenText } from "./strict-text.ts";

/** Upper bound for a call whose caller set none, or a longer one. */
const MAX_CALL_MS = 30_000;
/** Timers cannot be set for longer; a stream's deadline beyond it is as good as none. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const SERVER_OPTIONS = {
  "grpc.max_receive_message_length": 1024 * 1024,
  "grpc.max_concurrent_streams": 200,
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 3_000,
  "grpc.max_connection_age_ms": 300_000,
  "grpc.max_connection_age_grace_ms": 30_000,
  "grpc.enable_channelz": 0,
};

type Dependencies = {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: Random;
  /** Makes the port mutual TLS and enforces who may call what; without it everybody may. */
  readonly identity?: IdentitySource | undefined;
  /** Refuses unary calls that are too many; without it all are taken. */
  readonly admission?: Admission;
  /** What differs from `SERVER_LIMITS`. */
  readonly limits?: Partial<ServerLimits>;
  /** Gets each call that was served. */
  readonly recordSpan?: RecordSpan | undefined;
};
/** One method as it is served. */
type Served = {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly method: AnyMethod;
  readonly handle: Handler;
  readonly callers: readonly string[];
  readonly isWaiting: boolean;
};
type AnyCall = ServerUnaryCall<Buffer, unknown> | ServerWritableStream<Buffer, unknown>;

export class GrpcServer {
  readonly server = new Server(SERVER_OPTIONS);
  readonly #dependencies: Dependencies;
  readonly #listener: Listener;
  readonly #served = new Map<string, Served>();
  /** Streams never end by themselves, so a drain ends them. */
  readonly #streams = new Set<AbortController>();

  constructor(services: readonly GrpcService[], dependencies: Dependencies) {
    refuseBrokenText();
    this.#dependencies = dependencies;
    const { identity, metrics, clock } = dependencies;
    const limits = { ...SERVER_LIMITS, ...dependencies.limits };
    boundResets(this.server);
    this.#listener =
      identity === undefined
        ? new PlainListener(this.server, metrics, limits.connections)
        : new SecureListener(this.server, identity, metrics, limits.connections);
    guardHttp2(this.server, clock, limits, (path) => this.#kindOf(path));
    for (const service of services) this.#add(service);
  }

  /** Resolves with the port. */
  listen(host: string, port: number): Promise<number> {
    return this.#listener.listen(host, port);
  }

  /** Takes no new calls, ends streams and waits for open calls. */
  drain(): Promise<void> {
    for (const stream of this.#streams) stream.abort();
    this.#listener.close();
    return new Promise((resolve) => this.server.tryShutdown(() => resolve()));
  }

  close(): void {
    this.#listener.close();
    this.server.forceShutdown();
  }

  /** Nobody vouches for callers. */
  get #isOpen(): boolean {
    return this.#dependencies.identity === undefined;
  }

  /** Those of gRPC's own services are not bounded. */
  #kindOf(path: string) {
    const served = this.#served.get(path);
    if (served === undefined) return "other";
    return served.method.responseStream ? "server-stream" : "unary";
  }

  #add({ definition, handlers, callers, waiting }: GrpcService): void {
    const grpcDefinition: Record<string, object> = {};
    const implementation: Record<string, (...args: never[]) => void> = {};
    for (const [key, method] of Object.entries(definition.methods)) {
      const handle = handlers[key];
      if (handle === undefined) throw new TypeError(`${definition.fullName}/${method.name} has no handler`);
      const path = methodPath(definition, method);
      const served: Served = { path, method, handle, callers: callers[key] ?? [], isWaiting: waiting.includes(key) };
      this.#served.set(path, served);
      grpcDefinition[key] = { path, requestStream: false, responseStream: method.responseStream, ...bytesIn(method) };
      implementation[key] = method.responseStream
        ? (call: ServerWritableStream<Buffer, unknown>) => void this.#serveStream(served, call)
        : (call: ServerUnaryCall<Buffer, unknown>, reply: sendUnaryData<unknown>) =>
            void this.#serveUnary(served, call, reply);
    }
    this.server.addService(grpcDefinition as never, implementation as never);
  }

  async #serveUnary(
    served: Served,
    call: ServerUnaryCall<Buffer, unknown>,
    reply: sendUnaryData<unknown>,
  ): Promise<void> {
    const { method, handle, isWaiting } = served;
    const { admission } = this.#dependencies;
    const serve = async (context: CallContext) => {
      const answer = async () => await (handle(decode(method, call.request), context) as Promise<unknown>);
      if (admission === undefined) return await answer();
      return await admission.run({ method: method.name, isWaiting }, context, answer);
    };
    try {
      reply(null, await this.#serveCall(served, call, MAX_CALL_MS, serve));
    } catch (error) {
      reply(toStatus(error));
    }
  }

  async #serveStream(served: Served, call: ServerWritableStream<Buffer, unknown>): Promise<void> {
    const { method, handle } = served;
    const serve = async (context: CallContext) => {
      for await (const message of handle(decode(method, call.request), context) as AsyncIterable<unknown>) {
        if (context.signal.aborted) break;
        if (!call.write(message)) await drained(call, context.signal);
      }
      if (context.signal.aborted && !call.cancelled)
        throw new MeshError("unavailable", "DRAINING", "the server is stopping");
    };
    try {
      await this.#serveCall(served, call, Number.POSITIVE_INFINITY, serve);
      call.end();
    } catch (error) {
      call.emit("error", toStatus(error));
    }
  }

  /** Runs one call in its context, with its deadline and signal, counted and with bugs logged. */
  async #serveCall<T>(
    served: Served,
    call: AnyCall,
    maxMs: number,
    serve: (context: CallContext) => Promise<T>,
  ): Promise<T> {
    const { clock, metrics, log } = this.#dependencies;
    const { path } = served;
    const startedMs = clock.nowMs();
    const abort = new AbortController();
    const remainingMs = Math.min(remainingOf(call), maxMs);
    let isLate = false;
    const giveUp = () => {
      isLate = true;
      abort.abort();
    };
    const timer = remainingMs <= MAX_TIMER_MS ? setTimeout(giveUp, Math.max(0, remainingMs)) : undefined;
    const context = this.#contextOf(call, startedMs + remainingMs, abort.signal);
    call.on("cancelled", () => abort.abort());
    if (maxMs === Number.POSITIVE_INFINITY) this.#streams.add(abort);
    let code = "OK";
    try {
      if (remainingMs <= 0) throw new MeshError("deadline", "DEADLINE_EXCEEDED", "the deadline had passed on arrival");
      this.#authorise(served, context.caller);
      const answer = await runInContext(context, () => serve(context));
      // What came of giving up at the deadline is no answer.
      if (isLate) throw new MeshError("deadline", "DEADLINE_EXCEEDED", "the deadline passed before the answer");
      return answer;
    } catch (error) {
      code = statusName(error);
      if (!(error instanceof MeshError)) {
        metrics.bugs.inc();
        runInContext(context, () => log.error({ err: error, "rpc.method": path.slice(1) }, "unexpected error"));
      }
      throw error;
    } finally {
      clearTimeout(timer);
      this.#streams.delete(abort);
      // A name that no certificate vouches for could be any; it makes no series.
      const caller = this.#isOpen ? "" : context.caller;
      const labels = { rpc_system_name: "grpc", rpc_method: path.slice(1), rpc_status_code: code, caller };
      metrics.served.observe(labels, (clock.nowMs() - startedMs) / 1_000);
      this.#dependencies.recordSpan?.({
        name: path.slice(1),
        kind: "server",
        traceparent: context.traceparent,
        parent: textOf(call.metadata, "traceparent"),
        startMs: clock.wallMs() - (clock.nowMs() - startedMs),
        endMs: clock.wallMs(),
        code,
        attributes: { "mesh.caller": context.caller },
      });
    }
  }

  /** @throws MeshError forbidden CALLER_FORBIDDEN */
  #authorise({ path, callers }: Served, caller: string): void {
    if (this.#isOpen || callers.includes(caller)) return;
    const method = path.slice(1);
    this.#dependencies.metrics.callsForbidden.inc({ caller, rpc_method: method });
    throw new MeshError("forbidden", "CALLER_FORBIDDEN", `${caller} may not call ${method}`);
  }

  /** Who calls is what the certificate says, or without one what the caller says. */
  #contextOf(call: AnyCall, deadlineMs: number, signal: AbortSignal): CallContext {
    const { metadata } = call;
    const traceparent = childTraceparent(textOf(metadata, "traceparent"), this.#dependencies.random);
    const caller = this.#listener.callerAt(call.getPeer()) ?? textOf(metadata, "x-mesh-caller") ?? "";
    return { deadlineMs, traceparent, signal, caller };
  }
}

/** Requests stay bytes here, so that bytes which are no message fail in `decode` as the caller's mistake. */
function bytesIn(method: AnyMethod) {
  const responseSerialize = (value: unknown) => {
    const bytes = method.responseType.encode(value).finish();
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
  const unchanged = (bytes: Buffer) => bytes;
  return {
    requestSerialize: unchanged,
    requestDeserialize: unchanged,
    responseSerialize,
    responseDeserialize: unchanged,
  };
}

function decode(method: AnyMethod, bytes: Buffer): unknown {
  try {
    return method.requestType.decode(bytes);
  } catch (error) {
    throw new MeshError("invalid", "MESSAGE_MALFORMED", "the request is not a valid message", { cause: error });
  }
}

function remainingOf(call: AnyCall): number {
  const deadline = call.getDeadline();
  return deadline === Number.POSITIVE_INFINITY ? deadline : Number(deadline) - Date.now();
}

function textOf(metadata: Metadata, key: string): string | undefined {
  const value = metadata.get(key)[0];
  return typeof value === "string" ? value : undefined;
}

function drained(call: ServerWritableStream<Buffer, unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      call.off("drain", finish);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    call.once("drain", finish);
    signal.addEventListener("abort", finish, { once: true });
  });
}
