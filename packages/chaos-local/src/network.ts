/** A proxy between each process of a service and each part, so that every pair can be cut apart from the others. */
import type { Links } from "@ordermesh/local/links";
import type { Instance } from "@ordermesh/local/services";
import type { PartName } from "@ordermesh/local/sources";
import type { Random } from "@ordermesh/mesh/clock";
import { TcpProxy } from "./tcp-proxy.ts";

export class Network implements Links {
  readonly #proxies: ReadonlyMap<string, TcpProxy>;

  private constructor(proxies: ReadonlyMap<string, TcpProxy>) {
    this.#proxies = proxies;
  }

  static async open(instances: readonly Instance[], random: Random): Promise<Network> {
    const pairs = instances.flatMap(({ name, spec }) => partsOf(spec).map((part) => pairOf(name, part)));
    const proxies = await Promise.all(pairs.map(async (pair) => [pair, await TcpProxy.listen(random)] as const));
    return new Network(new Map(proxies));
  }

  addressOf(instance: string, part: PartName): string {
    return this.proxy(instance, part)?.address ?? "127.0.0.1:1";
  }

  connect(instance: string, part: PartName, target: string): void {
    const proxy = this.proxy(instance, part);
    if (proxy !== undefined) proxy.target = target;
  }

  /** Undefined when the process does not use the part. */
  proxy(instance: string, part: string): TcpProxy | undefined {
    return this.#proxies.get(pairOf(instance, part));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#proxies.values()].map((proxy) => proxy.close()));
  }
}

function partsOf({ hasDatabase, hasEvents }: Instance["spec"]): PartName[] {
  return ["etcd", ...(hasDatabase ? (["postgres"] as const) : []), ...(hasEvents ? (["kafka"] as const) : [])];
}

function pairOf(instance: string, part: string): string {
  return `${instance} ${part}`;
}
