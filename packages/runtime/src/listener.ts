/** The port of a gRPC server: a server of our own in front of it, which sees and bounds the connections. */
import { type AddressInfo, createServer, type Server } from "node:net";
import { type Server as GrpcJsServer, ServerCredentials } from "@grpc/grpc-js";
import type { Metrics } from "./metrics.ts";

export type Listener = {
  /** Resolves with the port. */
  listen(host: string, port: number): Promise<number>;
  /** The service at the other end of a connection, by the address that grpc-js calls a peer; undefined where nobody vouches for it. */
  callerAt(peer: string): string | undefined;
  /** Takes no new connections. */
  close(): void;
};

/** Without encryption. */
export class PlainListener implements Listener {
  readonly #server: Server;

  constructor(grpc: GrpcJsServer, metrics: Metrics, maxConnections: number) {
    const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
    this.#server = createServer({ noDelay: true }, (socket) => injector.injectConnection(socket));
    boundConnections(this.#server, metrics, maxConnections);
  }

  listen(host: string, port: number): Promise<number> {
    return listenOn(this.#server, host, port);
  }

  callerAt(): undefined {
    return undefined;
  }

  close(): void {
    this.#server.close();
  }
}

export function listenOn(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

/** One more than `max` is hung up on at once, and counted. */
export function boundConnections(server: Server, metrics: Metrics, max: number): void {
  server.maxConnections = max;
  server.on("drop", () => metrics.connectionsRefused.inc({ reason: "too-many" }));
}
