/** What stands between services and parts, such as proxies that can be cut. Without it services reach parts directly. */
import type { Parts } from "./parts.ts";
import type { PartName } from "./sources.ts";

export type Links = {
  /** `host:port` under which an instance such as `order-1` reaches a part; known before the part is. */
  readonly addressOf: (instance: string, part: PartName) => string;
  /** Said once for each instance and part, before anything is started; `target` is `host:port`. */
  readonly connect: (instance: string, part: PartName, target: string) => void;
};

/** The parts' addresses as the instance gets them, in the form of `Part.address`. @throws RangeError for a part with several addresses */
export function addressesFor(instance: string, parts: Parts, links: Links | undefined): Record<PartName, string> {
  const { etcd, kafka, postgres } = parts;
  if (links === undefined) return { etcd: etcd.address, kafka: kafka.address, postgres: postgres.address };
  const through = (part: PartName, target: string) => {
    if (target.includes(",")) throw new RangeError(`links lead to one ${part} and not to ${target}`);
    links.connect(instance, part, target);
    return links.addressOf(instance, part);
  };
  const database = new URL(postgres.address);
  database.host = through("postgres", database.host);
  const broker = kafka.addressFor?.[instance];
  return {
    etcd: `http://${through("etcd", new URL(etcd.address).host)}`,
    kafka: broker === undefined ? kafka.address : through("kafka", broker),
    postgres: database.href,
  };
}
