/** Prepares etcd: one member or three, from a binary, built once from its Go module, or from its image. */
import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./command.ts";
import { fromSource } from "./container.ts";
import { madeOnce } from "./made-once.ts";
import { freePorts, givenPart, type Part, untilHealthy } from "./part.ts";
import { ManagedProcess, type ProcessSpec } from "./process.ts";
import type { Progress } from "./progress.ts";
import type { Source } from "./sources.ts";

const READY_MS = 30_000;
const MODULE = fileURLToPath(new URL("../etcd/", import.meta.url));
const FLAGS = [
  "--auto-compaction-mode=periodic",
  "--auto-compaction-retention=1h",
  "--watch-progress-notify-interval=5s",
  "--quota-backend-bytes=2147483648",
];

export type PartOptions = {
  readonly dataDir: string;
  readonly logDir: string;
  readonly cacheDir: string;
  readonly source: Source;
  readonly progress: Progress;
  /** Processes of the part: 1 or 3. */
  readonly nodes: number;
  /** For Kafka: clients, and the `host:port` that it tells each of them instead of its own. */
  readonly clients?: Readonly<Record<string, string>>;
  /** For etcd: `host:port` at which the members reach each, in their order, instead of where it listens. */
  readonly peers?: readonly string[];
  /** What every program gets: at least PATH. */
  readonly env: Readonly<Record<string, string>>;
};

export async function prepareEtcd(options: PartOptions): Promise<Part> {
  const { source, nodes, dataDir } = options;
  if (source.kind === "address") return givenPart(source.address);
  if (source.kind === "missing") throw new Error(source.sentence);
  const command =
    source.kind === "toolchain" ? await buildEtcd(options) : source.kind === "binary" ? source.path : "etcd";
  const ports = await freePorts(nodes * 2);
  const members = Array.from({ length: nodes }, (_, index) => ({
    name: `etcd-${index + 1}`,
    client: `http://127.0.0.1:${ports[index * 2]}`,
    listen: `http://127.0.0.1:${ports[index * 2 + 1]}`,
    peer: `http://${options.peers?.[index] ?? `127.0.0.1:${ports[index * 2 + 1]}`}`,
  }));
  const cluster = members.map(({ name, peer }) => `${name}=${peer}`).join(",");
  const processes = members.map(({ name, client, listen, peer }) => {
    const folder = join(dataDir, name);
    mkdirSync(dataDir, { recursive: true });
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const urls = [
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${listen}`,
    ];
    const join1 = [
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=${cluster}`,
      "--initial-cluster-token=ordermesh",
    ];
    // A lone member keeps its data although its ports change; its old peer address does not matter to anyone.
    const spec: ProcessSpec = {
      name,
      command,
      args: [`--name=${name}`, `--data-dir=${folder}`, ...urls, ...join1, ...FLAGS],
      env: options.env,
      logFile: join(options.logDir, `${name}.log`),
      restarts: false,
    };
    const folders = [folder];
    return new ManagedProcess(fromSource(spec, { source, folders }));
  });
  const untilReady = async () => {
    await Promise.all(
      processes.map((member, index) => untilHealthy(member, READY_MS, () => isHealthy(members[index]?.client ?? ""))),
    );
  };
  const ask = async () => void (await Promise.all(members.map(({ client }) => isHealthy(client))));
  return { address: members.map(({ client }) => client).join(","), processes, untilReady, ask };
}

async function isHealthy(client: string): Promise<void> {
  const response = await fetch(`${client}/health`, { signal: AbortSignal.timeout(1_000) });
  if (!response.ok) throw new Error(`etcd answers ${response.status}`);
}

/** Builds under a name of its own and renames, so that an interrupted or a second build does no harm. */
async function buildEtcd({ cacheDir, source, progress }: PartOptions): Promise<string> {
  const built = join(cacheDir, "etcd", "etcd");
  if (source.kind !== "toolchain") return built;
  return await madeOnce(built, async () => {
    const draft = `${built}.${process.pid}`;
    mkdirSync(join(cacheDir, "etcd"), { recursive: true });
    await progress("Building etcd with Go, once (one to two minutes)", () =>
      run(source.path, ["build", "-trimpath", "-o", draft, "."], { cwd: MODULE }),
    );
    renameSync(draft, built);
  });
}
