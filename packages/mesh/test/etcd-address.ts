/** Where the real etcd of the contract tests is, and a few things that only tests ask of it, over its JSON gateway. */
import { env } from "node:process";

const { MESH_ETCD_ENDPOINTS } = env;

/** `host:port` of one member; undefined when there is no etcd to test with. */
export const ETCD_ADDRESS = MESH_ETCD_ENDPOINTS?.split(",")[0]?.replace(/^https?:\/\//, "");

/** For the `skip` option of a test. */
export const skip = ETCD_ADDRESS === undefined && "MESH_ETCD_ENDPOINTS names no etcd";

const base64 = (text: string) => Buffer.from(text).toString("base64");

export const etcd = {
  /** Resolves with the revision of the change. */
  put: async (key: string, value: string) =>
    revisionOf(await ask("kv/put", { key: base64(key), value: base64(value) })),
  delete: async (key: string) => revisionOf(await ask("kv/deleterange", { key: base64(key) })),
  /** Drops the history before `revision`, so that no watch can begin there any more. */
  compact: async (revision: number) => void (await ask("kv/compaction", { revision, physical: true })),
};

async function ask(path: string, body: object): Promise<unknown> {
  const response = await fetch(`http://${ETCD_ADDRESS}/v3/${path}`, { method: "POST", body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`etcd answered ${response.status} to ${path}: ${await response.text()}`);
  return await response.json();
}

function revisionOf(answer: unknown): number {
  return Number((answer as { header: { revision: string } }).header.revision);
}
