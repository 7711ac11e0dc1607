/**
 * The TLS port of a gRPC server. A tls.Server of our own in front of it: its certificate is renewed by Node's own
 * `setSecureContext`, refused handshakes are seen and counted, and a peer's name is read once for a connection.
 */

import { createServer, type Server, type TLSSocket } from "node:tls";
import { type Server as GrpcJsServer, ServerCredentials } from "@grpc/grpc-js";
import { type IdentitySource, serviceOf, TLS_VERSION } from "@ordermesh/mesh/identity";
import { boundConnections, type Listener, listenOn } from "./listener.ts";
import type { Metrics } from "./metrics.ts";

const HANDSHAKE_MS = 5_000;

/** Why a handshake failed, by what OpenSSL and Node say; anything else is `handshake`. */
const REASONS: Readonly<Record<string, string>> = {
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: "no-certificate",
  CERT_HAS_EXPIRED: "expired",
  CERT_NOT_YET_VALID: "expired",
  ERR_SSL_UNSUPPORTED_PROTOCOL: "protocol",
  ERR_SSL_WRONG_VERSION_NUMBER: "protocol",
  ERR_SSL_HTTP_REQUEST: "protocol",
  ERR_TLS_HANDSHAKE_TIMEOUT: "too-slow",
};

export class SecureListener implements Listener {
  readonly #source: IdentitySource;
  readonly #server: Server;
  readonly #metrics: Metrics;
  /** By the address that grpc-js calls a peer. */
  readonly #callers = new Map<string, string>();

  constructor(grpc: GrpcJsServer, source: IdentitySource, metrics: Metrics, maxConnections: number) {
    this.#source = source;
    this.#metrics = metrics;
    const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
    this.#server = createServer({
      ...this.#documents,
      requestCert: true,
      rejectUnauthorized: true,
      ALPNProtocols: ["h2"],
      handshakeTimeout: HANDSHAKE_MS,
    });
    this.#server.on("secureConnection", (socket) => {
      if (this.#accept(socket)) injector.injectConnection(socket);
      else socket.destroy();
    });
    boundConnections(this.#server, metrics, maxConnections);
    this.#server.on("tlsClientError", (error, socket) => {
      metrics.connectionsRefused.inc({ reason: reasonOf(error, socket) });
      socket.destroy();
    });
    source.onChange(() => this.#server.setSecureContext(this.#documents));
  }

  listen(host: string, port: number): Promise<number> {
    return listenOn(this.#server, host, port);
  }

  /** Empty when the connection is over. */
  callerAt(peer: string): string {
    return this.#callers.get(peer) ?? "";
  }

  close(): void {
    this.#server.close();
  }

  get #documents() {
    const { certificate: cert, key, authorities: ca } = this.#source.current;
    return { cert, key, ca, minVersion: TLS_VERSION } as const;
  }

  #accept(socket: TLSSocket): boolean {
    const caller = serviceOf(socket.getPeerCertificate().subjectaltname, this.#source.trustDomain);
    if (caller === undefined) {
      this.#metrics.connectionsRefused.inc({ reason: "identity" });
      return false;
    }
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#callers.set(peer, caller);
    socket.once("close", () => this.#callers.delete(peer));
    return true;
  }
}

/** A certificate that is not believed ends the connection without an error; the socket knows why. */
function reasonOf(error: NodeJS.ErrnoException, { authorizationError }: TLSSocket): string {
  const known = REASONS[String(authorizationError ?? error.code)];
  return known ?? (authorizationError ? "untrusted" : "handshake");
}
