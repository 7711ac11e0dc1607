/** Starts etcd, Kafka and PostgreSQL together, each from the source that was chosen for it. */
import { join } from "node:path";
import { startEtcd } from "./etcd.ts";
import { startKafka } from "./kafka.ts";
import type { Part } from "./part.ts";
import { startPostgres } from "./postgres.ts";
import type { Progress } from "./progress.ts";
import type { PartName, Source } from "./sources.ts";

export type Parts = Readonly<Record<PartName, Part>>;

export type PartsOptions = {
  /** Data and logs go below this folder. */
  readonly dir: string;
  /** What is built or fetched once. */
  readonly cacheDir: string;
  readonly sources: Readonly<Record<PartName, Source>>;
  readonly progress: Progress;
  readonly env: Readonly<Record<string, string>>;
  readonly etcdMembers?: number;
  readonly kafkaNodes?: number;
};

/** Stops what had been started already when one of them fails. */
export async function startParts(options: PartsOptions): Promise<Parts> {
  const { dir, cacheDir, sources, progress, env, etcdMembers = 1, kafkaNodes = 1 } = options;
  const common = { dataDir: join(dir, "data"), logDir: join(dir, "logs"), cacheDir, progress, env };
  const starts = await Promise.allSettled([
    startEtcd({ ...common, source: sources.etcd, nodes: etcdMembers }),
    startKafka({ ...common, source: sources.kafka, nodes: kafkaNodes }),
    startPostgres({ ...common, source: sources.postgres, nodes: 1 }),
  ]);
  const [etcd, kafka, postgres] = starts.map((start) => (start.status === "fulfilled" ? start.value : undefined));
  if (etcd !== undefined && kafka !== undefined && postgres !== undefined) return { etcd, kafka, postgres };
  for (const part of [etcd, kafka, postgres]) await stopPart(part);
  const failure = starts.find((start) => start.status === "rejected");
  throw failure?.reason;
}

export async function stopParts(parts: Parts): Promise<void> {
  await Promise.all(Object.values(parts).map(stopPart));
}

async function stopPart(part: Part | undefined): Promise<void> {
  await Promise.all((part?.processes ?? []).map((process) => process.stop()));
}
