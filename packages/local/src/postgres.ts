/** Prepares PostgreSQL, and makes a role and a database for each service. */
import { chownSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { run } from "./command.ts";
import { fromSource } from "./container.ts";
import type { PartOptions } from "./etcd.ts";
import { freePorts, givenPart, type Part, untilHealthy } from "./part.ts";
import { ManagedProcess, type ProcessSpec } from "./process.ts";

const READY_MS = 30_000;
/** `nobody`: PostgreSQL refuses to run as root. */
const UNPRIVILEGED_USER = 65_534;
const SETTINGS = {
  max_connections: 200,
  shared_buffers: "128MB",
  max_wal_size: "512MB",
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  timezone: "UTC",
};

export async function preparePostgres(options: PartOptions): Promise<Part> {
  const { source, dataDir, logDir, progress } = options;
  if (source.kind === "address") return givenPart(source.address);
  if (source.kind === "missing") throw new Error(source.sentence);
  const isRoot = process.getuid?.() === 0;
  const user = isRoot ? UNPRIVILEGED_USER : undefined;
  const folder = join(dataDir, "postgres");
  const program = (name: string) => (source.kind === "image" ? name : join(source.path, name));
  const wrap = (spec: ProcessSpec) => fromSource(spec, { source, folders: [folder], user });
  const common = {
    env: { ...options.env, LC_ALL: "C" },
    logFile: join(logDir, "postgres.log"),
    restarts: false,
    stopSignal: "SIGINT" as const,
  };
  const identity = user === undefined || source.kind === "image" ? {} : { user };
  if (!existsSync(join(folder, "PG_VERSION"))) {
    mkdirSync(dataDir, { recursive: true });
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (user !== undefined) chownSync(folder, user, user);
    const args = ["-D", folder, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"];
    const { command, args: all } = wrap({ name: "initdb", command: program("initdb"), args, ...common });
    await progress("Making an empty PostgreSQL", () => initialise(command, all, identity));
  }
  const [port] = await freePorts(1);
  const flags = Object.entries(SETTINGS).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const args = ["-D", folder, "-p", String(port), ...flags];
  const server = new ManagedProcess(
    wrap({ name: "postgres", command: program("postgres"), args, ...common, ...identity }),
  );
  const address = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const ask = () => withClient(address, async () => undefined);
  return { address, processes: [server], untilReady: () => untilHealthy(server, READY_MS, ask), ask };
}

async function initialise(command: string, args: readonly string[], identity: { user?: number }): Promise<void> {
  try {
    await run(command, args, identity);
  } catch (error) {
    const isUnreadable = error instanceof Error && "code" in error && error.code === "EACCES";
    if (!isUnreadable) throw error;
    const hint =
      "root runs PostgreSQL as user nobody, who cannot read this folder: clone to one that others may read, or set MESH_POSTGRES_URL";
    throw new Error(hint, { cause: error });
  }
}

/** Makes the role and the database `name` if they are missing, and gives the URL for them. */
export async function createDatabase(adminUrl: string, name: string): Promise<string> {
  if (!/^[a-z][a-z0-9_]{0,40}$/.test(name)) throw new Error(`${JSON.stringify(name)} is not a database name`);
  const quoted = pg.escapeIdentifier(name);
  await withClient(adminUrl, async (client) => {
    await client.query("SELECT pg_advisory_lock(7215000)"); // Two starts at once make one of each.
    const roles = await client.query("SELECT FROM pg_roles WHERE rolname = $1", [name]);
    if (roles.rowCount === 0) await client.query(`CREATE ROLE ${quoted} LOGIN PASSWORD 'ordermesh'`);
    const databases = await client.query("SELECT FROM pg_database WHERE datname = $1", [name]);
    if (databases.rowCount === 0) await client.query(`CREATE DATABASE ${quoted} OWNER ${quoted}`);
  });
  return databaseUrl(adminUrl, name);
}

/** The URL of the database that `createDatabase` makes. */
export function databaseUrl(adminUrl: string, name: string): string {
  const url = new URL(adminUrl);
  url.username = name;
  url.password = "ordermesh";
  url.pathname = `/${name}`;
  return url.href;
}

/** Ends all connections to a database but our own. Resolves with how many there were. */
export async function terminateConnections(adminUrl: string, database: string): Promise<number> {
  let ended = 0;
  await withClient(adminUrl, async (client) => {
    const text =
      "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid))::int AS ended FROM pg_stat_activity WHERE datname = $1";
    const { rows } = await client.query<{ ended: number }>(text, [database]);
    ended = rows[0]?.ended ?? 0;
  });
  return ended;
}

async function withClient(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on("error", () => undefined);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
