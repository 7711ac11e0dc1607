/** What operators read and write in etcd: documents with their revisions, changed all or nothing. */
import type { Etcd3 } from "etcd3";
import { MeshError } from "./errors.ts";
import { newClient, translate } from "./etcd-client.ts";

export type StoredDocument = {
  readonly key: string;
  readonly value: string;
  /** Of its last change. */
  readonly revision: bigint;
};

export type Change = {
  readonly puts?: Readonly<Record<string, string>>;
  readonly deletes?: readonly string[];
  /** Revisions that the documents must still have; 0 for one that must not exist. */
  readonly expected?: Readonly<Record<string, bigint>>;
};

/** Alarms are raised for a member, by etcd always for a real one. */
const NO_MEMBER = "0";

export class EtcdDocuments {
  readonly #client: Etcd3;

  constructor(endpoints: readonly string[]) {
    this.#client = newClient(endpoints);
  }

  /** In the order of their keys. @throws MeshError unavailable STORE_UNAVAILABLE */
  async list(prefix: string): Promise<StoredDocument[]> {
    const { kvs } = await translate(() => this.#client.getAll().prefix(prefix).exec());
    return kvs
      .map(({ key, value, mod_revision }) => ({
        key: key.toString(),
        value: value.toString(),
        revision: BigInt(mod_revision),
      }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Resolves with the revision of the change. @throws MeshError unavailable STORE_UNAVAILABLE, conflict DOCUMENT_CHANGED */
  async write({ puts = {}, deletes = [], expected = {} }: Change): Promise<bigint> {
    const operations = [
      ...Object.entries(puts).map(([key, value]) => this.#client.put(key).value(value)),
      ...deletes.map((key) => this.#client.delete().key(key)),
    ];
    const answer = await translate(() => {
      const [first, ...others] = Object.entries(expected);
      // Comparing with the revision 0 of a key that never exists holds always.
      const [key, revision] = first ?? ["\0", 0n];
      let transaction = this.#client.if(key, "Mod", "==", Number(revision));
      for (const [other, its] of others) transaction = transaction.and(other, "Mod", "==", Number(its));
      return transaction.then(...operations).commit();
    });
    if (!answer.succeeded)
      throw new MeshError("conflict", "DOCUMENT_CHANGED", "the document was changed meanwhile; look at it again");
    return BigInt(answer.header.revision);
  }

  /** Puts a document that goes by itself after `ttlS`. @throws MeshError unavailable STORE_UNAVAILABLE */
  async putFor(key: string, value: string, ttlS: number): Promise<void> {
    await translate(async () => {
      const lease = this.#client.lease(ttlS, { autoKeepAlive: false });
      await lease.put(key).value(value).exec();
    });
  }

  /** Ends the leases of what is under the keys, and so the documents too. Resolves with how many there were. @throws MeshError unavailable STORE_UNAVAILABLE */
  async revokeLeasesOf(keys: readonly string[]): Promise<number> {
    return await translate(async () => {
      const found = await Promise.all(keys.map((key) => this.#client.get(key).exec()));
      const leases = new Set(
        found.flatMap(({ kvs }) => kvs.map(({ lease }) => lease)).filter((lease) => lease !== "0"),
      );
      await Promise.all([...leases].map((ID) => this.#client.leaseClient.leaseRevoke({ ID })));
      return leases.size;
    });
  }

  /** Forgets all changes before the revision. @throws MeshError unavailable STORE_UNAVAILABLE */
  async compact(revision: bigint): Promise<void> {
    await translate(() => this.#client.kv.compact({ revision: String(revision) }));
  }

  /** Raises the alarm by which etcd takes reads and deletes only, or ends it; one that etcd raised itself stays. @throws MeshError unavailable STORE_UNAVAILABLE */
  async setSpaceAlarm(isOn: boolean): Promise<void> {
    const action = isOn ? "Activate" : "Deactivate";
    await translate(() => this.#client.maintenance.alarm({ action, alarm: "Nospace", memberID: NO_MEMBER }));
  }

  /** Whether etcd has the alarm by which it takes reads and deletes only, whoever raised it. @throws MeshError unavailable STORE_UNAVAILABLE */
  async hasSpaceAlarm(): Promise<boolean> {
    const { alarms } = await translate(() => this.#client.maintenance.alarm({ action: "Get", alarm: "Nospace" }));
    return alarms.length > 0;
  }

  close(): void {
    this.#client.close();
  }
}
