/** Prepares, starts and stops etcd, Kafka and PostgreSQL, each from the source that was chosen for it. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { prepareEtcd } from "./etcd.ts";
import { prepareKafka } from "./kafka.ts";
import type { Part } from "./part.ts";
import { preparePostgres } from "./postgres.ts";
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
  /** Clients of Kafka, and the `host:port` that it tells each of them instead of its own. */
  readonly kafkaClients?: Readonly<Record<string, string>>;
};

/** Builds, fetches and makes what is missing; starts nothing yet. */
export async function prepareParts(options: PartsOptions): Promise<Parts> {
  const { dir, cacheDir, sources, progress, env, etcdMembers = 1, kafkaNodes = 1, kafkaClients = {} } = options;
  const common = { dataDir: join(dir, "data"), logDir: join(dir, "logs"), cacheDir, progress, env };
  const [etcd, kafka, postgres] = await Promise.all([
    prepareEtcd({ ...common, source: sources.etcd, nodes: etcdMembers }),
    prepareKafka({ ...common, source: sources.kafka, nodes: kafkaNodes, clients: kafkaClients }),
    preparePostgres({ ...common, source: sources.postgres, nodes: 1 }),
  ]);
  return { etcd, kafka, postgres };
}

/** Starts the part's processes, each after its delay, and resolves when they answer. */
export async function startPart(part: Part, delayMs: (process: string) => number = () => 0): Promise<void> {
  await Promise.all(
    part.processes.map(async (process) => {
      await sleep(delayMs(process.spec.name));
      process.start();
    }),
  );
  await part.untilReady();
}

/** Stops all again when one of them fails. */
export async function startParts(parts: Parts): Promise<void> {
  const starts = await Promise.allSettled(Object.values(parts).map((part) => startPart(part)));
  const failure = starts.find((start) => start.status === "rejected");
  if (failure === undefined) return;
  await stopParts(parts);
  throw failure.reason;
}

export async function stopParts(parts: Parts): Promise<void> {
  const processes = Object.values(parts).flatMap((part) => part.processes);
  await Promise.all(processes.map((process) => process.stop()));
}
