/** The network between the members of an etcd cluster, of which one can be cut off from the others. Clients are not on it. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";

/** Members' requests to each other say whose they are. */
const FROM = /x-server-from: ([0-9a-f]+)/i;

type Link = { readonly from: string | undefined; readonly to: number; readonly near: Socket; readonly far: Socket };

export class PeerNetwork {
  /** `host:port` of each member on this network. */
  readonly addresses: readonly string[];
  readonly #links = new Set<Link>();
  #targets: readonly number[] = [];
  #lost: { readonly id: string; readonly index: number } | undefined;

  private constructor(servers: readonly Server[]) {
    this.addresses = servers.map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`);
    for (const [to, server] of servers.entries()) server.on("connection", (near) => this.#accept(near, to));
  }

  static async open(t: TestContext, members: number): Promise<PeerNetwork> {
    const servers = Array.from({ length: members }, () => createServer());
    for (const server of servers) server.listen(0, "127.0.0.1");
    await Promise.all(servers.map((server) => once(server, "listening")));
    const network = new PeerNetwork(servers);
    t.after(() => {
      for (const server of servers) server.close();
      for (const { near } of network.#links) near.destroy();
    });
    return network;
  }

  /** Where the members listen, in their order. */
  set targets(ports: readonly number[]) {
    this.#targets = ports;
  }

  /** From now on no byte passes between this member and the others; nobody is told. `id` as the members write it, in hex. */
  isolate(index: number, id: string): void {
    this.#lost = { id, index };
    for (const link of this.#links) if (this.#isCut(link)) stop(link);
  }

  /** Whatever stood still is broken, and works when it is made anew. */
  heal(): void {
    const cut = [...this.#links].filter((link) => this.#isCut(link));
    this.#lost = undefined;
    for (const { near } of cut) near.destroy();
  }

  /** A link between others is one whose two ends are known. */
  #isCut({ from, to }: Pick<Link, "from" | "to">): boolean {
    return this.#lost !== undefined && (to === this.#lost.index || from === undefined || from === this.#lost.id);
  }

  #accept(near: Socket, to: number): void {
    near.on("error", () => undefined);
    near.once("data", (first: Buffer) => {
      near.pause();
      const far = connect(this.#targets[to] ?? 0, "127.0.0.1");
      far.on("error", () => undefined);
      const link = { from: FROM.exec(first.toString("latin1"))?.[1], to, near, far };
      this.#links.add(link);
      for (const socket of [near, far])
        socket.on("close", () => {
          near.destroy();
          far.destroy();
          this.#links.delete(link);
        });
      if (this.#isCut(link)) return;
      far.write(first);
      near.pipe(far).pipe(near);
    });
  }
}

function stop({ near, far }: Link): void {
  near.unpipe().pause();
  far.unpipe().pause();
}
