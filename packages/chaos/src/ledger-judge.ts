/** The judge over the authorities' databases, and over the store and the instances where they are given. */
import type { Finding } from "@ordermesh/judge/finding";
import type { Operation } from "@ordermesh/judge/history";
import { judge } from "@ordermesh/judge/invariants";
import { type Databases, readWorld } from "@ordermesh/judge/ledgers";
import { type MeshSource, readConverged } from "@ordermesh/judge/mesh-reader";
import { whatIsOpen } from "@ordermesh/judge/quiesce";
import type { Judge } from "./backend.ts";

type Options = {
  readonly databases: Databases;
  /** Looked up at each judgement, as instances come and go; without it ConfigConverged and RegistryTruth are not judged. */
  readonly mesh?: () => Promise<MeshSource>;
};

export class LedgerJudge implements Judge {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /** @throws Error when a database cannot be read */
  async open(sinceMs: number): Promise<readonly string[]> {
    return whatIsOpen(await readWorld(this.#options.databases, { sinceMs }));
  }

  /** @throws Error when a database cannot be read */
  async judge(history: readonly Operation[], sinceMs: number): Promise<readonly Finding[]> {
    const { databases, mesh } = this.#options;
    const source = await mesh?.();
    const view = source === undefined ? undefined : await readConverged(source);
    const world = await readWorld(databases, { sinceMs, orderIds: history.flatMap(({ orderId }) => orderId ?? []) });
    return judge(history, view === undefined ? world : { ...world, mesh: view }).findings;
  }
}
