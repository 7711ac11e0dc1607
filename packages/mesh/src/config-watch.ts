/** Live configuration from the store: a valid document is applied, an invalid one is refused and the last good one stays. */
import type { MeshLog } from "./log.ts";
import type { MeshMetrics } from "./metrics.ts";
import type { Store } from "./store.ts";

export type LiveConfig<T> = {
  readonly current: T;
  /** Store revision at which the current value was seen; 0 for the fallback. */
  readonly revision: bigint;
  onChange(listener: (value: T) => void): void;
  close(): void;
};

type Options<T> = {
  readonly store: Store;
  readonly key: string;
  /** @throws MeshError invalid when the document must be refused */
  readonly parse: (document: string) => T;
  readonly fallback: T;
  readonly log: MeshLog;
  readonly metrics: MeshMetrics;
};

/** A deleted key does not change anything: deletion is more often a mistake than an instruction. */
export function watchConfig<T>({ store, key, parse, fallback, log, metrics }: Options<T>): LiveConfig<T> {
  const listeners = new Set<(value: T) => void>();
  let applied = { value: fallback, revision: 0n };
  let seen: string | undefined;
  const subscription = store.subscribe(key, ({ revision, entries }) => {
    const document = entries.get(key);
    if (document === undefined || document === seen) return;
    seen = document;
    try {
      applied = { value: parse(document), revision };
    } catch (error) {
      metrics.configRejected.inc();
      log.error(
        { "mesh.key": key, "error.message": error instanceof Error ? error.message : "" },
        "live config refused",
      );
      return;
    }
    metrics.configRevision.set(Number(revision));
    log.info({ "mesh.key": key, revision: String(revision) }, "live config applied");
    for (const listener of listeners) listener(applied.value);
  });
  return {
    get current() {
      return applied.value;
    },
    get revision() {
      return applied.revision;
    },
    onChange: (listener) => void listeners.add(listener),
    close: () => subscription.close(),
  };
}
