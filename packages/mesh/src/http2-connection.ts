/**
 * A connection of our own over node:http2, which costs less than half of a grpc-js channel's. It connects when first
 * needed, again at once when a session is lost, and after a pause when that fails; a session that the server is draining
 * serves its calls to their end while new ones go to the next.
 */
import { type ClientHttp2Session, connect } from "node:http2";
import type { Socket } from "node:net";
import { status } from "@grpc/grpc-js";
import { jitter } from "./clock.ts";
import type { Attempt, Connection, ConnectionState } from "./connection.ts";
import { NotBegunError } from "./errors.ts";
import { streamOver, unaryOver } from "./http2-call.ts";
import { type Identity, type PeerSecurity, secureContextOf, whyNotServer } from "./identity.ts";
import { statusError } from "./status.ts";

const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;
const BACKOFF_FACTOR = 1.6;
const BACKOFF_JITTER = 0.2;
/** For the server's first frame; a port that accepts and says nothing is no server. */
const CONNECT_MS = 5_000;
const KEEPALIVE_MS = 10_000;
const KEEPALIVE_ANSWER_MS = 3_000;
const STREAM_WINDOW_BYTES = 1024 * 1024;
const CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024;
const SESSION_MEMORY_MB = 64;

type State =
  | { readonly kind: "idle" }
  | { readonly kind: "connecting" | "ready"; readonly session: ClientHttp2Session }
  | { readonly kind: "failing"; readonly timer: NodeJS.Timeout }
  | { readonly kind: "closed" };

export function connectHttp2(address: string, security?: PeerSecurity): Connection {
  return new Http2Connection(address, security);
}

class Http2Connection implements Connection {
  readonly address: string;
  readonly #security: PeerSecurity | undefined;
  /** That the current session was opened with. */
  #identity: Identity | undefined;
  /** Why the last session ended. */
  #problem = "";
  #state: State = { kind: "idle" };
  #backoffMs = MIN_BACKOFF_MS;
  #inFlight = 0;
  #isClosing = false;
  /** All that are open, those that are being drained too. */
  readonly #sessions = new Set<ClientHttp2Session>();
  readonly #sockets = new WeakMap<ClientHttp2Session, Socket>();

  constructor(address: string, security?: PeerSecurity) {
    this.address = address;
    this.#security = security;
  }

  get state(): ConnectionState {
    return this.#state.kind;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  unary(attempt: Attempt): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const session = this.#session(attempt);
      unaryOver(session, this.address, attempt, (failure, answer) => {
        this.#ended();
        if (failure === undefined) resolve(answer);
        else reject(failure);
      });
      this.#inFlight += 1; // Not before: a call that could not begin is over.
    });
  }

  async *serverStream(attempt: Attempt): AsyncIterable<unknown> {
    const session = this.#session(attempt);
    this.#inFlight += 1;
    try {
      yield* streamOver(session, this.address, attempt);
    } finally {
      this.#ended();
    }
  }

  close(): void {
    this.#isClosing = true;
    if (this.#inFlight === 0) this.#hangUp();
  }

  #ended(): void {
    this.#inFlight -= 1;
    if (this.#isClosing && this.#inFlight === 0) this.#hangUp();
  }

  #hangUp(): void {
    if (this.#state.kind === "failing") clearTimeout(this.#state.timer);
    this.#state = { kind: "closed" };
    for (const session of this.#sessions) session.close();
  }

  /** @throws MeshError unavailable while the pause after a failed try lasts, cancelled */
  #session({ signal }: Attempt): ClientHttp2Session {
    if (signal?.aborted) throw statusError(status.CANCELLED, "the caller cancelled the call");
    if (this.#isClosing) throw new NotBegunError("the connection is closed");
    if (this.#state.kind === "failing") throw new NotBegunError(`${this.address} cannot be reached: ${this.#problem}`);
    // Node tells of a session's end by `close`, but not while bytes of it cannot be sent; and then requests do not throw.
    if ("session" in this.#state && this.#state.session.destroyed) this.#lost(this.#state.session);
    if (this.#state.kind === "ready" && this.#identity !== this.#security?.source.current)
      this.#renew(this.#state.session);
    if (this.#state.kind === "idle") this.#connect();
    if ("session" in this.#state) return this.#state.session;
    throw new NotBegunError(`${this.address} cannot be reached`);
  }

  #connect(): void {
    this.#identity = this.#security?.source.current;
    const session = openSession(this.address, this.#security);
    this.#sessions.add(session);
    this.#state = { kind: "connecting", session };
    const timer = setTimeout(() => session.destroy(), CONNECT_MS).unref();
    session.once("remoteSettings", () => {
      clearTimeout(timer);
      if (this.#isCurrent(session)) this.#ready(session);
    });
    session.once("connect", (_, socket) => {
      if (session.destroyed) return; // Node tells of it even so when both happened in one turn of its loop.
      session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
      this.#sockets.set(session, socket);
    });
    session.on("error", ({ message }) => {
      this.#problem = message; // `close` follows, and the streams report it to their calls.
    });
    session.once("goaway", () => this.#leave(session));
    session.once("close", () => {
      clearTimeout(timer);
      this.#sessions.delete(session);
      this.#lost(session);
    });
    // A connection keeps the process alive while calls wait for it, not by being there.
    session.unref();
  }

  #ready(session: ClientHttp2Session): void {
    this.#state = { kind: "ready", session };
    this.#backoffMs = MIN_BACKOFF_MS;
    const timer = setInterval(() => ping(session, this.#sockets.get(session)), KEEPALIVE_MS).unref();
    session.once("close", () => clearInterval(timer));
    session.once("goaway", () => clearInterval(timer));
  }

  /** The server drains this session: it is not used for new calls, and ends with its last one. */
  #leave(session: ClientHttp2Session): void {
    if (this.#isCurrent(session)) this.#state = { kind: "idle" };
  }

  /** The certificate was renewed: new calls go over a session that uses it, and the old one ends with its last call. */
  #renew(session: ClientHttp2Session): void {
    this.#leave(session);
    session.close();
  }

  #lost(session: ClientHttp2Session): void {
    if (!this.#isCurrent(session)) return;
    const wasReady = this.#state.kind === "ready";
    if (this.#isClosing) this.#state = { kind: "idle" };
    else if (wasReady) this.#connect();
    else this.#pause();
  }

  #pause(): void {
    const timer = setTimeout(() => this.#connect(), jitter(this.#backoffMs, BACKOFF_JITTER, Math.random)).unref();
    this.#state = { kind: "failing", timer };
    this.#backoffMs = Math.min(this.#backoffMs * BACKOFF_FACTOR, MAX_BACKOFF_MS);
  }

  #isCurrent(session: ClientHttp2Session): boolean {
    return "session" in this.#state && this.#state.session === session;
  }
}

function openSession(address: string, security: PeerSecurity | undefined): ClientHttp2Session {
  const settings = { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES };
  const options = { settings, maxSessionMemory: SESSION_MEMORY_MB };
  if (security === undefined) return connect(`http://${address}`, options);
  return connect(`https://${address}`, {
    ...options,
    secureContext: secureContextOf(security.source.current),
    servername: security.service,
    checkServerIdentity: (_host, certificate) => whyNotServer(security, certificate),
  });
}

/** A peer that does not answer in time has frozen or is out of reach. */
function ping(session: ClientHttp2Session, socket: Socket | undefined): void {
  if (session.destroyed || session.closed) return;
  const timer = setTimeout(() => {
    session.destroy();
    socket?.destroy(); // Which would wait for what the peer does not take.
  }, KEEPALIVE_ANSWER_MS).unref();
  session.ping(() => clearTimeout(timer));
}
