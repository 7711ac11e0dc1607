/**
 * Serves generated definitions with plain async functions. grpc-js calls handlers in a synchronous try, sends any Error's
 * text to the caller and has no signal; `serveCall` is the one place that mends all three.
 */
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import type { Clock, Random } from "@ordermesh/mesh/clock";
import { type CallContext, childTraceparent, runInContext } from "@ordermesh/mesh/context";
import { MeshError } from "@ordermesh/mesh/errors";
import {
  type AnyMethod,
  methodPath,
  type RequestOf,
  type ResponseOf,
  type ServiceDefinition,
} from "@ordermesh/mesh/service-definition";
import { statusName, toStatus } from "@ordermesh/mesh/status";
import type { Logger } from "./log.ts";
import type { Metrics } from "./metrics.ts";

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

/** One function for each method: a promise for a unary one, an async iterable for a server stream. */
export type Handlers<S extends ServiceDefinition> = {
  readonly [K in keyof S["methods"]]: S["methods"][K]["responseStream"] extends true
    ? (request: RequestOf<S["methods"][K]>, call: CallContext) => AsyncIterable<ResponseOf<S["methods"][K]>>
    : (request: RequestOf<S["methods"][K]>, call: CallContext) => Promise<ResponseOf<S["methods"][K]>>;
};

type Handler = (request: unknown, call: CallContext) => Promise<unknown> | AsyncIterable<unknown>;
export type GrpcService = {
  readonly definition: ServiceDefinition;
  readonly handlers: Readonly<Record<string, Handler>>;
};

export function implement<S extends ServiceDefinition>(definition: S, handlers: Handlers<S>): GrpcService {
  return { definition, handlers: handlers as unknown as Record<string, Handler> };
}

type Dependencies = { readonly log: Logger; readonly metrics: Metrics; readonly clock: Clock; readonly random: Random };
type AnyCall = ServerUnaryCall<Buffer, unknown> | ServerWritableStream<Buffer, unknown>;

export class GrpcServer {
  readonly server = new Server(SERVER_OPTIONS);
  readonly #dependencies: Dependencies;
  /** Streams never end by themselves, so a drain ends them. */
  readonly #streams = new Set<AbortController>();

  constructor(services: readonly GrpcService[], dependencies: Dependencies) {
    this.#dependencies = dependencies;
    for (const { definition, handlers } of services) this.#add(definition, handlers);
  }

  /** Resolves with the port. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
  }

  /** Takes no new calls, ends streams and waits for open calls. */
  drain(): Promise<void> {
    for (const stream of this.#streams) stream.abort();
    return new Promise((resolve) => this.server.tryShutdown(() => resolve()));
  }

  close(): void {
    this.server.forceShutdown();
  }

  #add(definition: ServiceDefinition, handlers: Readonly<Record<string, Handler>>): void {
    const grpcDefinition: Record<string, object> = {};
    const implementation: Record<string, (...args: never[]) => void> = {};
    for (const [key, method] of Object.entries(definition.methods)) {
      const handle = handlers[key];
      if (handle === undefined) throw new TypeError(`${definition.fullName}/${method.name} has no handler`);
      const path = methodPath(definition, method);
      grpcDefinition[key] = { path, requestStream: false, responseStream: method.responseStream, ...bytesIn(method) };
      implementation[key] = method.responseStream
        ? (call: ServerWritableStream<Buffer, unknown>) => void this.#serveStream(path, method, handle, call)
        : (call: ServerUnaryCall<Buffer, unknown>, reply: sendUnaryData<unknown>) =>
            void this.#serveUnary(path, method, handle, call, reply);
    }
    this.server.addService(grpcDefinition as never, implementation as never);
  }

  async #serveUnary(
    path: string,
    method: AnyMethod,
    handle: Handler,
    call: ServerUnaryCall<Buffer, unknown>,
    reply: sendUnaryData<unknown>,
  ): Promise<void> {
    const serve = async (context: CallContext) =>
      await (handle(decode(method, call.request), context) as Promise<unknown>);
    try {
      reply(null, await this.#serveCall(path, call, MAX_CALL_MS, serve));
    } catch (error) {
      reply(toStatus(error));
    }
  }

  async #serveStream(
    path: string,
    method: AnyMethod,
    handle: Handler,
    call: ServerWritableStream<Buffer, unknown>,
  ): Promise<void> {
    const serve = async (context: CallContext) => {
      for await (const message of handle(decode(method, call.request), context) as AsyncIterable<unknown>) {
        if (context.signal.aborted) break;
        if (!call.write(message)) await drained(call, context.signal);
      }
      if (context.signal.aborted && !call.cancelled)
        throw new MeshError("unavailable", "DRAINING", "the server is stopping");
    };
    try {
      await this.#serveCall(path, call, Number.POSITIVE_INFINITY, serve);
      call.end();
    } catch (error) {
      call.emit("error", toStatus(error));
    }
  }

  /** Runs one call in its context, with its deadline and signal, counted and with bugs logged. */
  async #serveCall<T>(
    path: string,
    call: AnyCall,
    maxMs: number,
    serve: (context: CallContext) => Promise<T>,
  ): Promise<T> {
    const { clock, metrics, log } = this.#dependencies;
    const startedMs = clock.nowMs();
    const abort = new AbortController();
    const remainingMs = Math.min(remainingOf(call), maxMs);
    let isLate = false;
    const giveUp = () => {
      isLate = true;
      abort.abort();
    };
    const timer = remainingMs <= MAX_TIMER_MS ? setTimeout(giveUp, remainingMs) : undefined;
    const context = this.#contextOf(call.metadata, startedMs + remainingMs, abort.signal);
    call.on("cancelled", () => abort.abort());
    if (maxMs === Number.POSITIVE_INFINITY) this.#streams.add(abort);
    let code = "OK";
    try {
      if (remainingMs <= 0) throw new MeshError("deadline", "DEADLINE_EXCEEDED", "the deadline had passed on arrival");
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
      const labels = { rpc_system_name: "grpc", rpc_method: path.slice(1), rpc_status_code: code };
      metrics.served.observe(labels, (clock.nowMs() - startedMs) / 1_000);
    }
  }

  #contextOf(metadata: Metadata, deadlineMs: number, signal: AbortSignal): CallContext {
    const traceparent = childTraceparent(textOf(metadata, "traceparent"), this.#dependencies.random);
    return { deadlineMs, traceparent, signal, caller: textOf(metadata, "x-mesh-caller") ?? "" };
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
