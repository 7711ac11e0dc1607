/** Puts fault rules into the etcd of a system under test, as an operator does with meshctl. */
import { EtcdDocuments } from "@ordermesh/mesh/etcd-documents";

export type Fault = {
  readonly service: string;
  readonly share: number;
  readonly delayMs?: number;
  readonly abort?: string;
};

/** What every call inside the system meets: one attempt of twenty fails, and as many wait for 100 ms. */
export const CALL_FAULTS: readonly Fault[] = ["order", "inventory", "payment"].flatMap((service) => [
  { service, share: 0.05, abort: "unavailable" },
  { service, share: 0.05, delayMs: 100 },
]);

/** They end by themselves after `lifeMs`, an hour at most. @throws MeshError unavailable STORE_UNAVAILABLE */
export async function putFaults(etcd: string, faults: readonly Fault[], lifeMs: number): Promise<void> {
  const documents = new EtcdDocuments(etcd.split(","));
  for (const [index, fault] of faults.entries()) {
    const rule = { schemaVersion: 1, ...fault, expiresAtMs: Date.now() + lifeMs };
    await documents.putFor(`/ordermesh/faults/test-${index}`, JSON.stringify(rule), Math.ceil(lifeMs / 1_000));
  }
  documents.close();
}
