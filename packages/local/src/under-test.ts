/** For tests of services: a fresh database on the PostgreSQL that the environment names, and handlers served and called over real gRPC. */
import { env } from "node:process";
import type { TestContext } from "node:test";
import { systemClock } from "@ordermesh/mesh/clock";
import { MemoryStore } from "@ordermesh/mesh/memory-store";
import { Mesh } from "@ordermesh/mesh/mesh";
import type { MeshClient, ServiceDefinition } from "@ordermesh/mesh/service-definition";
import { GrpcServer } from "@ordermesh/runtime/grpc";
import type { GrpcService } from "@ordermesh/runtime/grpc-service";
import { createLogger, type Logger } from "@ordermesh/runtime/log";
import { createMetrics, type Metrics } from "@ordermesh/runtime/metrics";
import { migrate } from "@ordermesh/runtime/migrate";
import { Db } from "@ordermesh/runtime/postgres";
import { createDatabase } from "./postgres.ts";

const { MESH_POSTGRES_URL: POSTGRES_URL } = env;

/** Why tests that need PostgreSQL are skipped; false when they are not. */
export const skipWithoutPostgres = POSTGRES_URL === undefined && "MESH_POSTGRES_URL is not set: run `make test`";

export const testLog: Logger = createLogger({ service: "test", instance: "test", version: "", level: "silent" });

let nextDatabase = 0;

export type Migrations = { readonly dir: URL; readonly table: string };

/** A new database with the migrations applied; the pool is closed after the test. */
export async function openDatabase(
  t: TestContext,
  migrations: readonly Migrations[],
  poolSize = 8,
): Promise<{ db: Db; url: string; metrics: Metrics }> {
  const url = await createDatabase(POSTGRES_URL ?? "", `t${process.pid}_${Date.now().toString(36)}_${nextDatabase++}`);
  const signal = new AbortController().signal;
  for (const { dir, table } of migrations) await migrate({ url, dir, table, clock: systemClock, log: testLog, signal });
  const metrics = createMetrics();
  const db = new Db({ url, poolSize, log: testLog, metrics, clock: systemClock, random: Math.random });
  t.after(() => db.close());
  return { db, url, metrics };
}

/** Serves `services` on a free port, registered as `name`, until the test ends; resolves with the mesh to call them through. */
export async function serve(t: TestContext, name: string, services: readonly GrpcService[]): Promise<Mesh> {
  const metrics = createMetrics();
  const server = new GrpcServer(services, { log: testLog, metrics, clock: systemClock, random: Math.random });
  const port = await server.listen("127.0.0.1", 0);
  const address = `127.0.0.1:${port}`;
  const endpoint = {
    service: name,
    instance: "one",
    address,
    adminAddress: address,
    version: "",
    zone: "",
    weight: 1,
    protocol: "grpc",
    pod: "",
    node: "",
  };
  const store = new MemoryStore(systemClock);
  store.put(`/test/endpoints/${name}/one`, JSON.stringify(endpoint));
  const mesh = new Mesh({
    connectStore: () => store,
    prefix: "/test",
    service: "test",
    clock: systemClock,
    random: Math.random,
    log: testLog,
    registry: metrics.registry,
  });
  t.after(async () => {
    await mesh.close();
    server.close();
  });
  return mesh;
}

/** The client of a service that is served for the test alone. */
export async function clientOf<S extends ServiceDefinition>(
  t: TestContext,
  definition: S,
  service: GrpcService,
): Promise<MeshClient<S>> {
  return (await serve(t, "subject", [service])).client(definition, "subject", 5_000);
}
