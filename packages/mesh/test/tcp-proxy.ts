/** A TCP proxy that loses, stalls and refuses connections on request: networks and processes as they fail. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

type Pair = { readonly near: Socket; readonly far: Socket };

export class TcpProxy {
  /** Number of the connections that were accepted. */
  accepted = 0;
  /** What happens to new connections: they work, are closed at once, or are kept without a byte passing. */
  mode: "pass" | "refuse" | "stall" = "pass";
  /** Called with the number of each new connection, before `mode` is looked at; may change it. */
  onConnection: (number: number) => void = () => {};
  readonly #target: string;
  readonly #pairs = new Set<Pair>();
  readonly #server = createServer((near) => this.#accept(near));

  /** `target` is `host:port`. */
  constructor(target: string) {
    this.#target = target;
  }

  /** Resolves with the proxy's own `host:port`. */
  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Number of the connections that are open. */
  get open(): number {
    return this.#pairs.size;
  }

  /** Breaks every connection. */
  cut(): void {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
  }

  /** Lets no more bytes pass on any connection, without closing it: a frozen process, or a lost route. */
  stall(): void {
    for (const { near, far } of this.#pairs) {
      near.unpipe().pause();
      far.unpipe().pause();
    }
  }

  /** Undoes `stall`; what was sent meanwhile arrives now. */
  resume(): void {
    for (const { near, far } of this.#pairs) near.pipe(far).pipe(near);
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #accept(near: Socket): void {
    this.accepted += 1;
    this.onConnection(this.accepted);
    near.on("error", () => undefined);
    if (this.mode === "refuse") return void near.destroy();
    const [host, port] = this.#target.split(":");
    const far = connect(Number(port), host);
    const pair = { near, far };
    this.#pairs.add(pair);
    far.on("error", () => undefined);
    for (const socket of [near, far])
      socket.on("close", () => {
        near.destroy();
        far.destroy();
        this.#pairs.delete(pair);
      });
    if (this.mode === "pass") near.pipe(far).pipe(near);
    else near.pause();
  }
}
