/** Policy documents and their history. */
import { hostname, userInfo } from "node:os";
import { MeshError } from "@ordermesh/mesh/errors";
import type { StoredDocument } from "@ordermesh/mesh/etcd-documents";
import { parsePolicy } from "@ordermesh/mesh/policy";
import type { Context } from "./context.ts";

const KEPT = 20;
const NUMBER_DIGITS = 8;

/** What was set, when and by whom; `document` is undefined for a deletion. */
export type HistoryEntry = {
  readonly number: number;
  readonly at: string;
  readonly by: string;
  readonly document: string | undefined;
};

export async function findPolicy({ documents, prefix }: Context, service: string): Promise<StoredDocument | undefined> {
  const key = `${prefix}/policy/${service}`;
  return (await documents.list(key)).find((document) => document.key === key);
}

export async function listHistory({ documents, prefix }: Context, service: string): Promise<HistoryEntry[]> {
  const folder = `${prefix}/policy-history/${service}/`;
  return (await documents.list(folder)).map(({ key, value }) => ({
    number: Number(key.slice(folder.length)),
    ...(JSON.parse(value) as Omit<HistoryEntry, "number">),
  }));
}

/**
 * Sets the document, or deletes it when `text` is undefined, together with its entry in the history.
 * @throws MeshError invalid POLICY_INVALID, DOCUMENT_INVALID; conflict DOCUMENT_CHANGED; unavailable STORE_UNAVAILABLE
 */
export async function setPolicy(
  context: Context,
  service: string,
  text: string | undefined,
  ifRevision?: bigint,
): Promise<bigint> {
  if (text !== undefined) parsePolicy(text);
  const { documents, prefix } = context;
  const key = `${prefix}/policy/${service}`;
  const folder = `${prefix}/policy-history/${service}/`;
  const current = await findPolicy(context, service);
  if (text === undefined && current === undefined)
    throw new MeshError("not-found", "POLICY_UNKNOWN", `${service} has no policy`);
  const history = await listHistory(context, service);
  const number = (history.at(-1)?.number ?? 0) + 1;
  const entry = { at: new Date().toISOString(), by: `${userInfo().username}@${hostname()}`, document: text };
  const entryKey = (of: number) => folder + String(of).padStart(NUMBER_DIGITS, "0");
  return await documents.write({
    puts: { ...(text === undefined ? {} : { [key]: text }), [entryKey(number)]: JSON.stringify(entry) },
    deletes: [
      ...(text === undefined ? [key] : []),
      ...history.slice(0, Math.max(0, history.length + 1 - KEPT)).map((old) => entryKey(old.number)),
    ],
    expected: { [key]: ifRevision ?? current?.revision ?? 0n, [entryKey(number)]: 0n },
  });
}
