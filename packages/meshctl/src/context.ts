/** What every command gets, and what it may end with. */
import type { EtcdDocuments } from "@ordermesh/mesh/etcd-documents";
import type { Output } from "./output.ts";

export type Context = {
  readonly documents: EtcdDocuments;
  readonly endpoints: readonly string[];
  /** What all keys start with. */
  readonly prefix: string;
  readonly output: Output;
};

/** 1: the answer is no, or the document is not valid. */
export const EXIT = { ok: 0, no: 1, usage: 2, unreachable: 3 } as const;
