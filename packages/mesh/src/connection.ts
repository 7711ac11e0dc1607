/** The port to one connection, to one address. http2-connection.ts and grpc-connection.ts implement it; callers choose above it. */
import type { PeerSecurity } from "./identity.ts";
import type { AnyMethod } from "./service-definition.ts";

export type ConnectionState = "idle" | "connecting" | "ready" | "failing" | "closed";

/** One attempt of a call. */
export type Attempt = {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly method: AnyMethod;
  readonly request: unknown;
  /** Metadata to send, ASCII values. */
  readonly headers: Readonly<Record<string, string>>;
  /** Time the attempt may take; Infinity only for streams. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
};

export type Connection = {
  /** `host:port`. */
  readonly address: string;
  readonly state: ConnectionState;
  /** Attempts that have not ended. */
  readonly inFlight: number;
  /** @throws MeshError of the kind that the status stands for; `unavailable` when the peer hung up */
  unary(attempt: Attempt): Promise<unknown>;
  /** Like `unary`; leaving the loop early cancels the stream. */
  serverStream(attempt: Attempt): AsyncIterable<unknown>;
  /** Takes no more attempts and hangs up when the last one has ended. */
  close(): void;
};

/** With `security`, over mutual TLS and only to the service that it names. */
export type Connect = (address: string, security?: PeerSecurity) => Connection;
