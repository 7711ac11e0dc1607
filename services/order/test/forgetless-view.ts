/** Views of etcd that never forget: what was seen under a prefix once stays, as it was. For tests of the judge. */
import type { Store } from "@ordermesh/mesh/store";

/** `part` is the part of a key after the mesh's prefix, such as `/endpoints/`. */
export function forgetless(etcd: Store, part: string): Store {
  return {
    subscribe(prefix, onSnapshot) {
      if (!prefix.endsWith(part)) return etcd.subscribe(prefix, onSnapshot);
      let seen: ReadonlyMap<string, string> = new Map();
      return etcd.subscribe(prefix, ({ revision, entries }) => {
        seen = new Map([...entries, ...seen]);
        onSnapshot({ revision, entries: seen });
      });
    },
    grant: (ttlS) => etcd.grant(ttlS),
    close: () => etcd.close(),
  };
}
