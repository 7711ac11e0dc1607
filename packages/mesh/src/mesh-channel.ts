/**
 * The mesh for grpc-js stubs that exist already: a channel, given to them as `channelOverride`, that picks an endpoint for
 * each call and hands the call to that endpoint's own channel. All four kinds of calls; no retries, as a stub's messages
 * are gone once they are sent.
 */
import { type ChannelInterface, connectivityState, type Deadline, type Metadata, status } from "@grpc/grpc-js";
import { childTraceparent, currentContext } from "./context.ts";
import { MeshError } from "./errors.ts";
import type { GrpcCall, GrpcConnection } from "./grpc-connection.ts";
import type { Peer } from "./peer.ts";
import { fromStatus, toStatus } from "./status.ts";
import type { Asked, Target } from "./target.ts";

type Listener = Parameters<GrpcCall["start"]>[1];
type Status = Parameters<Listener["onReceiveStatus"]>[0];

/** Kept back for our own answer when a deadline is passed on. */
const DEADLINE_MARGIN_MS = 5;
/** For a first endpoint, when the call has no deadline. */
const WAIT_MS = 1_000;

export class MeshChannel implements ChannelInterface {
  readonly #target: Target;

  /** `target` connects with grpc-js channels. */
  constructor(target: Target) {
    this.#target = target;
  }

  createCall(method: string, deadline: Deadline): GrpcCall {
    return new MeshCall(this.#target, method, deadline);
  }

  getTarget(): string {
    return `mesh:${this.#target.service}`;
  }

  /** What is behind it connects and reconnects by itself; a call says whether it could be made. */
  getConnectivityState(): connectivityState {
    return connectivityState.READY;
  }

  watchConnectivityState(
    _current: connectivityState,
    _deadline: Date | number,
    callback: (error?: Error) => void,
  ): void {
    process.nextTick(callback);
  }

  getChannelzRef(): ReturnType<ChannelInterface["getChannelzRef"]> {
    return { kind: "channel" as never, id: -1, name: this.getTarget() }; // grpc-js does not export the enum.
  }

  /** The mesh closes what it has opened. */
  close(): void {}
}

/** One call; what the stub does with it before there is an endpoint waits. */
class MeshCall implements GrpcCall {
  readonly #target: Target;
  readonly #method: string;
  readonly #deadlineMs: number;
  readonly #waiting: ((call: GrpcCall) => void)[] = [];
  readonly #abort = new AbortController();
  #call: GrpcCall | undefined;
  #listener: Listener | undefined;

  constructor(target: Target, method: string, deadline: Deadline) {
    this.#target = target;
    this.#method = method;
    const { clock } = target.dependencies;
    const inheritedMs = (currentContext()?.deadlineMs ?? Number.POSITIVE_INFINITY) - DEADLINE_MARGIN_MS;
    this.#deadlineMs = Math.min(Number(deadline), clock.wallMs() + (inheritedMs - clock.nowMs()));
  }

  start(metadata: Metadata, listener: Listener): void {
    const { random, caller } = this.#target.dependencies;
    const [given] = metadata.get("traceparent");
    const parent = typeof given === "string" ? given : currentContext()?.traceparent;
    metadata.set("traceparent", childTraceparent(parent, random));
    metadata.set("x-mesh-caller", caller);
    this.#listener = listener;
    const asked = this.#asked(metadata);
    const peer = this.#target.tryChoose(asked);
    // Begun at once, so that the next choice knows of it.
    if (peer !== undefined) this.#begin(peer, metadata, listener);
    else
      this.#choose(asked).then(
        (first) => this.#begin(first, metadata, listener),
        (error: unknown) => this.#end(toStatus(error) as Status),
      );
  }

  sendMessageWithContext(...parameters: Parameters<GrpcCall["sendMessageWithContext"]>): void {
    this.#do((call) => call.sendMessageWithContext(...parameters));
  }

  startRead(): void {
    this.#do((call) => call.startRead());
  }

  halfClose(): void {
    this.#do((call) => call.halfClose());
  }

  setCredentials(...parameters: Parameters<GrpcCall["setCredentials"]>): void {
    this.#do((call) => call.setCredentials(...parameters));
  }

  cancelWithStatus(code: status, details: string): void {
    this.#abort.abort();
    if (this.#call === undefined) this.#end({ code, details } as Status);
    else this.#call.cancelWithStatus(code, details);
  }

  getPeer(): string {
    return this.#call?.getPeer() ?? this.#target.service;
  }

  getCallNumber(): number {
    return this.#call?.getCallNumber() ?? 0;
  }

  getAuthContext(): ReturnType<GrpcCall["getAuthContext"]> {
    return this.#call?.getAuthContext() ?? null;
  }

  #asked(metadata: Metadata): Asked {
    const policy = this.#target.policy(this.#method.slice(this.#method.lastIndexOf("/") + 1));
    const headers = Object.fromEntries(Object.entries(metadata.getMap()).map(([name, value]) => [name, String(value)]));
    return { policy, headers, tried: new Set() };
  }

  async #choose(asked: Asked): Promise<Peer> {
    const leftMs = this.#deadlineMs - this.#target.dependencies.clock.wallMs();
    const waitMs = Number.isFinite(leftMs) ? leftMs : WAIT_MS;
    return await this.#target.choose(waitMs, this.#abort.signal, asked);
  }

  #begin(peer: Peer, metadata: Metadata, listener: Listener): void {
    if (this.#abort.signal.aborted) return;
    const { call, end } = (peer.connection as GrpcConnection).beginCall(this.#method, this.#deadlineMs);
    const ended = Promise.withResolvers<void>();
    const leftMs = this.#deadlineMs - this.#target.dependencies.clock.wallMs();
    void this.#target
      .attempt(
        peer,
        leftMs,
        () => ended.promise,
        () => undefined,
      )
      .catch(() => undefined);
    this.#call = call;
    call.start(metadata, {
      onReceiveMetadata: (received) => listener.onReceiveMetadata(received),
      onReceiveMessage: (message: unknown) => listener.onReceiveMessage(message),
      onReceiveStatus: (received: Status) => {
        end();
        if (received.code === status.OK) ended.resolve();
        else
          ended.reject(
            this.#abort.signal.aborted ? cancelled() : fromStatus(received as Parameters<typeof fromStatus>[0]),
          );
        this.#end(received);
      },
    } as Listener);
    for (const action of this.#waiting.splice(0)) action(call);
  }

  #do(action: (call: GrpcCall) => void): void {
    if (this.#call === undefined) this.#waiting.push(action);
    else action(this.#call);
  }

  #end(result: Status): void {
    const listener = this.#listener;
    this.#listener = undefined;
    listener?.onReceiveStatus(result);
  }
}

function cancelled(): MeshError {
  return new MeshError("cancelled", "CALL_CANCELLED", "the caller cancelled the call");
}
