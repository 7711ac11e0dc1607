/**
 * The TLS port of a gRPC server. A tls.Server of our own in front of it: its certificate is renewed by Node's own
 * `setSecureContext`, refused handshakes are seen and counted, and a peer's name is read once for a connection.
 */

import type { AddressInfo } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { type Server as GrpcJsServer, ServerCredentials } from "@grpc/grpc-js";
import { type IdentitySource, serviceOf, TLS_VERSION } from "@ordermesh/mesh/identity";
import type { Metrics } from "./metrics.ts";

const HANDSHAKE_MS = 5_000;

export class SecureListener {
  readonly #source: IdentitySource;
  readonly #server: Server;
  readonly #metrics: Metrics;
  /** By the address that grpc-js calls a peer. */
  readonly #callers = new Map<string, string>();

  constructor(grpc: GrpcJsServer, source: IdentitySource, metrics: Metrics) {
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
    this.#server.on("tlsClientError", (_error, socket) => {
      metrics.connectionsRefused.inc({ reason: "certificate" });
      socket.destroy();
    });
    source.onChange(() => this.#server.setSecureContext(this.#documents));
  }

  /** Resolves with the port. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, () => resolve((this.#server.address() as AddressInfo).port));
    });
  }

  /** The service at the other end of a connection; empty when that is over. */
  callerAt(peer: string): string {
    return this.#callers.get(peer) ?? "";
  }

  /** Takes no new connections. */
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
