/** A TCP proxy on loopback whose connections can be made to fail as a network's do, and which counts what that met. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Random } from "@ordermesh/mesh/clock";
import { Pipe, type Shape } from "./pipe.ts";

/** What has met a shape that is not `Pass`, since the proxy listens. */
export type ProxyCounts = {
  /** Bytes that were kept, came late or came slowly. */
  readonly bytes: number;
  /** Connections that were open and were broken. */
  readonly broken: number;
  /** Connections that came and were refused, or got no answer. */
  readonly refused: number;
};

type Connection = { readonly near: Socket; readonly far: Socket; readonly pipes: readonly [Pipe, Pipe] };

export class TcpProxy {
  readonly address: string;
  readonly #server: ReturnType<typeof createServer>;
  readonly #random: Random;
  readonly #connections = new Set<Connection>();
  /** Came while nothing passes; hung up on when the network is well again. */
  readonly #unanswered = new Set<Socket>();
  #target: { readonly host: string; readonly port: number } | undefined;
  #shape: Shape = { kind: "Pass" };
  #counts = { bytes: 0, broken: 0, refused: 0 };

  private constructor(server: ReturnType<typeof createServer>, random: Random) {
    this.#server = server;
    this.#random = random;
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (near) => this.#accept(near));
  }

  /** Listens on a free port; hangs up until `target` is set. */
  static async listen(random: Random): Promise<TcpProxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new TcpProxy(server, random);
  }

  /** `host:port` that new connections are led to. */
  set target(address: string) {
    const { hostname, port } = new URL(`tcp://${address}`);
    this.#target = { host: hostname, port: Number(port) };
  }

  get counts(): ProxyCounts {
    return { ...this.#counts };
  }

  get shape(): Shape {
    return this.#shape;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#connections.size;
  }

  /** Holds for connections that are open and for those that come. */
  setShape(shape: Shape): void {
    this.#shape = shape;
    for (const connection of this.#connections) this.#apply(connection);
    if (shape.kind === "Blackhole") return;
    for (const near of this.#unanswered) near.resetAndDestroy();
    this.#unanswered.clear();
  }

  async close(): Promise<void> {
    this.setShape({ kind: "Pass" });
    for (const { near, far } of this.#connections) {
      near.destroy();
      far.destroy();
    }
    this.#server.close();
    await once(this.#server, "close");
  }

  #apply({ near, far, pipes }: Connection): void {
    if (this.#shape.kind === "Reset") {
      this.#counts.broken += 1;
      near.resetAndDestroy();
      far.resetAndDestroy();
      return;
    }
    if (this.#shape.kind !== "Blackhole" && (near.destroyed || far.destroyed)) {
      near.destroy();
      far.destroy();
      return;
    }
    for (const pipe of pipes) pipe.setShape(this.#shape);
  }

  #accept(near: Socket): void {
    near.on("error", () => undefined);
    if (this.#shape.kind !== "Pass" && this.#shape.kind !== "Latency" && this.#shape.kind !== "Throttle") {
      this.#counts.refused += 1;
      if (this.#shape.kind === "Reset") near.resetAndDestroy();
      else this.#unanswered.add(near.on("close", () => this.#unanswered.delete(near)));
      return;
    }
    if (this.#target === undefined) return void near.destroy();
    const far = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    far.on("error", () => undefined);
    const shaped = (bytes: number) => {
      this.#counts.bytes += bytes;
    };
    const pipe = (from: Socket, to: Socket) => new Pipe(from, to, this.#shape, this.#random, shaped);
    const connection: Connection = { near, far, pipes: [pipe(near, far), pipe(far, near)] };
    this.#connections.add(connection);
    near.on("close", () => this.#closed(connection, far));
    far.on("close", () => this.#closed(connection, near));
  }

  /** In a black hole the other end does not learn it, until the network is well again. */
  #closed(connection: Connection, other: Socket): void {
    if (other.destroyed) {
      for (const pipe of connection.pipes) pipe.close();
      this.#connections.delete(connection);
    } else if (this.#shape.kind !== "Blackhole") other.destroy();
  }
}
