/** Prepares Apache Kafka in KRaft mode: one node or three, from a distribution, from pinned jars, or from its image. */
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./command.ts";
import { fromSource } from "./container.ts";
import type { PartOptions } from "./etcd.ts";
import { madeOnce } from "./made-once.ts";
import { freePorts, givenPart, type Part, untilHealthy } from "./part.ts";
import { ManagedProcess, type ProcessSpec } from "./process.ts";

const READY_MS = 60_000;
const PROJECT = fileURLToPath(new URL("../kafka/", import.meta.url));
const JVM = [
  "-Xms256m",
  "-Xmx384m",
  "-XX:+UseSerialGC",
  "-XX:TieredStopAtLevel=1",
  `-Dlog4j2.configurationFile=${PROJECT}log4j2.properties`,
];

type Node = {
  readonly id: number;
  readonly port: number;
  readonly controllerPort: number;
  readonly listeners: readonly ClientListener[];
};

/** A listener for one client alone, as a broker tells a client the addresses that belong to the listener it came through. */
type ClientListener = {
  readonly client: string;
  readonly name: string;
  readonly port: number;
  /** `host:port` that the client is told. */
  readonly advertised: string;
};

export async function prepareKafka(options: PartOptions): Promise<Part> {
  const { source, nodes } = options;
  if (source.kind === "address") return givenPart(source.address);
  if (source.kind === "missing") throw new Error(source.sentence);
  const classpath =
    source.kind === "binary"
      ? join(source.path, "libs")
      : source.kind === "image"
        ? "/opt/kafka/libs"
        : await fetchJars(options);
  const clients = Object.entries(options.clients ?? {});
  if (clients.length > 0 && nodes > 1) throw new RangeError("listeners for single clients are for one broker");
  const [ports, clientPorts] = await Promise.all([freePorts(nodes * 2), freePorts(clients.length)]);
  const listeners = clients.map(([client, advertised], index): ClientListener => {
    const name = client.toUpperCase().replaceAll("-", "_");
    return { client, name, port: clientPorts[index] ?? 0, advertised };
  });
  const all: Node[] = Array.from({ length: nodes }, (_, index) => ({
    id: index + 1,
    port: ports[index * 2] ?? 0,
    controllerPort: ports[index * 2 + 1] ?? 0,
    listeners,
  }));
  const clusterId = readClusterId(options.dataDir);
  const processes = all.map((node) => {
    const { folder, properties } = prepareNode(node, all, clusterId, options.dataDir);
    const name = `kafka-${node.id}`;
    const spec: ProcessSpec = {
      name,
      command: "java",
      args: [...JVM, "-cp", `${classpath}/*`, "kafka.Kafka", properties],
      env: options.env,
      logFile: join(options.logDir, `${name}.log`),
      restarts: false,
    };
    const folders = [folder, PROJECT];
    return new ManagedProcess(fromSource(spec, { source, folders }));
  });
  const untilReady = async () => {
    await Promise.all(
      processes.map((broker, index) => untilHealthy(broker, READY_MS, () => answers(all[index]?.port ?? 0))),
    );
  };
  const address = all.map(({ port }) => `127.0.0.1:${port}`).join(",");
  const addressFor = Object.fromEntries(listeners.map(({ client, port }) => [client, `127.0.0.1:${port}`]));
  const ask = async () => void (await Promise.all(all.map(({ port }) => answers(port))));
  return { address, addressFor, processes, untilReady, ask };
}

/** Writes what `kafka-storage format` would write, without starting a JVM for it. */
function prepareNode(
  { id, port, controllerPort, listeners }: Node,
  all: readonly Node[],
  clusterId: string,
  dataDir: string,
) {
  const folder = join(dataDir, `kafka-${id}`);
  const logs = join(folder, "logs");
  mkdirSync(logs, { recursive: true });
  const meta = join(logs, "meta.properties");
  const directoryId = randomBytes(16).toString("base64url");
  if (!existsSync(meta))
    writeFileSync(meta, `version=1\nnode.id=${id}\ncluster.id=${clusterId}\ndirectory.id=${directoryId}\n`);
  const replicas = Math.min(all.length, 3);
  const minInSync = Math.max(1, replicas - 1);
  const settings = {
    "process.roles": "broker,controller",
    "node.id": id,
    "controller.quorum.voters": all.map((node) => `${node.id}@127.0.0.1:${node.controllerPort}`).join(","),
    listeners: [
      `PLAINTEXT://127.0.0.1:${port}`,
      `CONTROLLER://127.0.0.1:${controllerPort}`,
      ...listeners.map((own) => `${own.name}://127.0.0.1:${own.port}`),
    ].join(),
    "advertised.listeners": [
      `PLAINTEXT://127.0.0.1:${port}`,
      ...listeners.map(({ name, advertised }) => `${name}://${advertised}`),
    ].join(),
    "listener.security.protocol.map": ["PLAINTEXT", "CONTROLLER", ...listeners.map(({ name }) => name)]
      .map((name) => `${name}:PLAINTEXT`)
      .join(),
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "log.dirs": logs,
    "log.segment.bytes": 16 * 1024 * 1024,
    "auto.create.topics.enable": false,
    "default.replication.factor": replicas,
    "min.insync.replicas": minInSync,
    "offsets.topic.replication.factor": replicas,
    "offsets.topic.num.partitions": 10,
    "transaction.state.log.replication.factor": replicas,
    "transaction.state.log.min.isr": minInSync,
    "group.initial.rebalance.delay.ms": 0,
    "num.network.threads": 2,
    "num.io.threads": 4,
  };
  const properties = join(folder, "server.properties");
  writeFileSync(
    properties,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
  );
  return { folder, properties };
}

function readClusterId(dataDir: string): string {
  const file = join(dataDir, "kafka-cluster-id");
  if (existsSync(file)) return readFileSync(file, "utf8");
  const id = randomBytes(16).toString("base64url");
  mkdirSync(dataDir, { recursive: true });
  writeFileSync(file, id);
  return id;
}

function answers(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
  });
}

/** Fetches into a folder of its own, checks every jar, and renames. */
function fetchJars({ cacheDir, progress }: PartOptions): Promise<string> {
  const libs = join(cacheDir, "kafka", "libs");
  const draft = `${libs}.${process.pid}`;
  return madeOnce(libs, async () => {
    await progress("Fetching Kafka with Maven, once (44 MB)", () =>
      run("mvn", [
        "-q",
        "-B",
        "-f",
        join(PROJECT, "pom.xml"),
        "dependency:copy-dependencies",
        `-DoutputDirectory=${draft}`,
        "-DincludeScope=runtime",
      ]),
    );
    try {
      verifyJars(draft, readFileSync(join(PROJECT, "sha256sums.txt"), "utf8"));
      renameSync(draft, libs);
    } catch (error) {
      rmSync(draft, { recursive: true });
      if (!existsSync(libs)) throw error; // Another start was faster.
    }
  });
}

/** @throws Error that names the jars which are missing, unexpected or different */
export function verifyJars(folder: string, sums: string): void {
  const expected = new Map(
    sums
      .trim()
      .split("\n")
      .map((line) => [line.slice(66), line.slice(0, 64)]),
  );
  const wrong = readdirSync(folder).filter((name) => {
    const sum = createHash("sha256")
      .update(readFileSync(join(folder, name)))
      .digest("hex");
    const isRight = expected.get(name) === sum;
    expected.delete(name);
    return !isRight;
  });
  if (wrong.length > 0 || expected.size > 0)
    throw new Error(`Kafka's jars are not those that are pinned: ${[...wrong, ...expected.keys()].join(", ")}`);
}
