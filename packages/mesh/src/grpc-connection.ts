/** A connection on one plain grpc-js channel: the only file that makes grpc-js channels. */
import {
  type ChannelInterface,
  Client,
  connectivityState,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import type { Attempt, Connection, ConnectionState } from "./connection.ts";
import { MeshError } from "./errors.ts";
import { type Identity, type PeerSecurity, secureContextOf, whyNotServer } from "./identity.ts";
import type { AnyMethod } from "./service-definition.ts";
import { fromStatus, statusError, type WireStatus } from "./status.ts";

const CHANNEL_OPTIONS = {
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 3_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 5_000,
  "grpc.max_receive_message_length": 4 * 1024 * 1024,
  "grpc.enable_channelz": 0,
  "grpc.service_config_disable_resolution": 1,
  // A shared pool would give a new connection the reconnection back-off of a closed one to the same address.
  "grpc.use_local_subchannel_pool": 1,
};

const STATES: Record<connectivityState, ConnectionState> = {
  [connectivityState.IDLE]: "idle",
  [connectivityState.CONNECTING]: "connecting",
  [connectivityState.READY]: "ready",
  [connectivityState.TRANSIENT_FAILURE]: "failing",
  [connectivityState.SHUTDOWN]: "closed",
};

/** A codec's functions as grpc-js wants them, made once for each method. */
type Serialisers = { readonly serialize: (value: unknown) => Buffer; readonly deserialize: (bytes: Buffer) => unknown };

const serialisers = new WeakMap<AnyMethod, Serialisers>();

export function connectGrpc(address: string, security?: PeerSecurity): Connection {
  return new GrpcConnection(address, security);
}

/** A call of grpc-js below its stubs. */
export type GrpcCall = ReturnType<ChannelInterface["createCall"]>;

/** One channel; a renewed certificate asks for a new one, and the old one ends with its last call. */
type Channel = { readonly client: Client; readonly identity: Identity | undefined; inFlight: number };

/** Exported for mesh-channel.ts. */
export class GrpcConnection implements Connection {
  readonly address: string;
  readonly #security: PeerSecurity | undefined;
  #channel: Channel;
  #inFlight = 0;
  #isClosing = false;

  constructor(address: string, security?: PeerSecurity) {
    this.address = address;
    this.#security = security;
    this.#channel = openChannel(address, security);
  }

  get state(): ConnectionState {
    return STATES[this.#channel.client.getChannel().getConnectivityState(false)];
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Below grpc-js' stubs: those take a stack trace and go through interceptors for each call, a quarter of what it costs. */
  unary(attempt: Attempt): Promise<unknown> {
    const { serialize, deserialize } = serialisersOf(attempt.method);
    return new Promise((resolve, reject) => {
      const request = serialize(attempt.request);
      const { call, end } = this.beginCall(attempt.path, Date.now() + attempt.timeoutMs);
      const { signal } = attempt;
      const cancel = () => call.cancelWithStatus(status.CANCELLED, "the caller cancelled the call");
      const messages: Buffer[] = [];
      call.start(toMetadata(attempt.headers), {
        onReceiveMetadata() {},
        onReceiveMessage(message: Buffer) {
          messages.push(message);
          if (messages.length === 1) call.startRead();
          else call.cancelWithStatus(status.UNIMPLEMENTED, "a unary call was answered with several messages");
        },
        onReceiveStatus(received: WireStatus) {
          signal?.removeEventListener("abort", cancel);
          end();
          const [message] = messages;
          if (received.code !== status.OK) reject(toMeshError(received, signal));
          else if (message === undefined)
            reject(statusError(status.UNIMPLEMENTED, "a unary call was answered with none"));
          else
            try {
              resolve(deserialize(message));
            } catch {
              reject(statusError(status.INTERNAL, "the answer is not a valid message"));
            }
        },
      } as Parameters<GrpcCall["start"]>[1]);
      if (signal?.aborted) cancel();
      else signal?.addEventListener("abort", cancel, { once: true });
      call.startRead();
      call.sendMessageWithContext({}, request);
      call.halfClose();
    });
  }

  async *serverStream(attempt: Attempt): AsyncIterable<unknown> {
    const { serialize, deserialize } = serialisersOf(attempt.method);
    const options = Number.isFinite(attempt.timeoutMs) ? { deadline: Date.now() + attempt.timeoutMs } : {};
    const metadata = toMetadata(attempt.headers);
    const channel = this.#begin();
    const call = channel.client.makeServerStreamRequest(
      attempt.path,
      serialize,
      deserialize,
      attempt.request,
      metadata,
      options,
    );
    const cancel = () => call.cancel();
    attempt.signal?.addEventListener("abort", cancel, { once: true });
    call.on("error", () => undefined); // The loop below reports it; after an early return nobody else listens.
    try {
      for await (const message of call) yield message;
    } catch (error) {
      throw toMeshError(error as ServiceError, attempt.signal);
    } finally {
      attempt.signal?.removeEventListener("abort", cancel);
      call.cancel();
      this.#ended(channel);
    }
  }

  /** A call of any kind whose messages are bytes; `end` has to be called once it is over. */
  beginCall(path: string, deadlineMs: number): { call: GrpcCall; end: () => void } {
    const channel = this.#begin();
    const call = channel.client.getChannel().createCall(path, deadlineMs, null, null, undefined);
    return { call, end: () => this.#ended(channel) };
  }

  close(): void {
    this.#isClosing = true;
    if (this.#channel.inFlight === 0) this.#channel.client.close();
  }

  #begin(): Channel {
    if (!this.#isClosing && this.#channel.identity !== this.#security?.source.current) this.#renew();
    this.#channel.inFlight += 1;
    this.#inFlight += 1;
    return this.#channel;
  }

  #ended(channel: Channel): void {
    this.#inFlight -= 1;
    channel.inFlight -= 1;
    const isOver = this.#isClosing || channel !== this.#channel;
    if (isOver && channel.inFlight === 0) channel.client.close();
  }

  #renew(): void {
    const old = this.#channel;
    this.#channel = openChannel(this.address, this.#security);
    if (old.inFlight === 0) old.client.close();
  }
}

function openChannel(address: string, security: PeerSecurity | undefined): Channel {
  const identity = security?.source.current;
  if (security === undefined || identity === undefined)
    return { client: new Client(address, credentials.createInsecure(), CHANNEL_OPTIONS), identity, inFlight: 0 };
  const checkServerIdentity = (_host: string, certificate: object) => whyNotServer(security, certificate);
  const secured = credentials.createFromSecureContext(secureContextOf(identity), { checkServerIdentity });
  const options = { ...CHANNEL_OPTIONS, "grpc.ssl_target_name_override": security.service };
  return { client: new Client(address, secured, options), identity, inFlight: 0 };
}

/** A server that shuts down hard shows as CANCELLED; unless we cancelled, that is a lost connection. */
function toMeshError(
  error: Pick<ServiceError, "code" | "details" | "metadata">,
  signal: AbortSignal | undefined,
): MeshError {
  if (error.code === status.CANCELLED && !signal?.aborted)
    return new MeshError("unavailable", "TRANSPORT_CANCELLED", "the server hung up", { cause: error });
  return fromStatus(error);
}

function toMetadata(headers: Attempt["headers"]): Metadata {
  const metadata = new Metadata();
  for (const name of Object.keys(headers)) metadata.set(name, headers[name] ?? "");
  return metadata;
}

function serialisersOf(method: AnyMethod): Serialisers {
  const known = serialisers.get(method);
  if (known !== undefined) return known;
  const made: Serialisers = {
    serialize: (value) => {
      const bytes = method.requestType.encode(value).finish();
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
    deserialize: (bytes) => method.responseType.decode(bytes),
  };
  serialisers.set(method, made);
  return made;
}
