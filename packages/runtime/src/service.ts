/** The chassis: everything that a process of the system does before, beside and after its own work. */
import { randomBytes } from "node:crypto";
import { type Clock, type Random, systemClock } from "@ordermesh/mesh/clock";
import { isKind, MeshError } from "@ordermesh/mesh/errors";
import { connectEtcd } from "@ordermesh/mesh/etcd";
import { connectGrpc } from "@ordermesh/mesh/grpc-connection";
import { connectHttp2 } from "@ordermesh/mesh/http2-connection";
import { IdentityFiles } from "@ordermesh/mesh/identity-files";
import { Mesh } from "@ordermesh/mesh/mesh";
import type { IdentityMetrics } from "@ordermesh/mesh/metrics";
import type { RecordSpan } from "@ordermesh/mesh/span";
import type { Store } from "@ordermesh/mesh/store";
import { startAdmin } from "./admin.ts";
import type { BASE_SETTINGS } from "./base-settings.ts";
import { ConfigError, loadConfig, type Settings, type Values } from "./config.ts";
import { armFailpoints } from "./failpoints.ts";
import { GrpcServer } from "./grpc.ts";
import type { GrpcService } from "./grpc-service.ts";
import { Lifecycle } from "./lifecycle.ts";
import { createLogger, type Logger } from "./log.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { followConnections } from "./process-faults.ts";
import { addHealth, addReflection } from "./standard-services.ts";
import { openTracing, type Tracing } from "./tracing.ts";

const EXIT = { clean: 0, failed: 1, badConfiguration: 2, forced: 3 } as const;
/** On top of drain delay and time-out, before the process ends by force. */
const FORCED_EXIT_MARGIN_MS = 5_000;
const READINESS_EVERY_MS = 250;

type Base = Values<typeof BASE_SETTINGS>;

export type ServiceContext<S extends Settings> = {
  readonly config: Values<S> & Base;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly mesh: Mesh;
  readonly lifecycle: Lifecycle;
  /** Gets the spans of calls; undefined where nobody collects them. */
  readonly recordSpan: RecordSpan | undefined;
};

export type ServiceDefinition<S extends Settings & typeof BASE_SETTINGS> = {
  readonly name: string;
  readonly settings: S;
  /** Builds the service; resolves with what it serves over gRPC. May take as long as its dependencies take to come up. */
  readonly start: (context: ServiceContext<S>) => Promise<readonly GrpcService[]>;
  /** What the mesh sees of etcd; etcd itself unless a test plants a bug. */
  readonly viewOf?: (etcd: Store) => Store;
};

/** Runs a service until a signal ends it. Exit codes: 0 clean, 1 failed, 2 bad configuration, 3 forced. */
export async function runService<S extends Settings & typeof BASE_SETTINGS>(
  definition: ServiceDefinition<S>,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const config = readConfig(definition, env);
  const instance = config.instance || `${definition.name}-${randomBytes(4).toString("hex")}`;
  const log = createLogger({ service: definition.name, instance, version: config.version, level: config.logLevel });
  const metrics = createMetrics();
  const fail = (error: unknown) => {
    log.error({ err: error }, "process failed");
    process.exit(EXIT.failed);
  };
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  if (config.environment === "test") {
    armFailpoints(config.failpoints);
    followConnections();
  }

  const clock = systemClock;
  const lifecycle = new Lifecycle(clock, log, fail);
  const tracing = await openTracingIfAsked(definition.name, instance, config);
  const { viewOf = (etcd: Store) => etcd } = definition;
  const recordSpan = tracing?.record;
  const mesh = openMesh(definition.name, instance, config, { log, metrics, clock, recordSpan, viewOf });
  const context: ServiceContext<S> = {
    config,
    log,
    metrics,
    clock,
    random: Math.random,
    mesh,
    lifecycle,
    recordSpan,
  };
  lifecycle.onClose("tracing", async () => tracing?.close());
  lifecycle.onClose("mesh", async () => mesh.close());

  let phase: "starting" | "started" = "starting";
  lifecycle.addReadiness("start", () => (phase === "started" ? undefined : "waiting for dependencies"));
  const admin = await startAdmin({
    host: config.bindHost,
    port: config.adminPort,
    registry: metrics.registry,
    lifecycle,
    debug: () => mesh.debug(),
  });
  lifecycle.onClose("admin", admin.close);
  stopOnSignal(lifecycle, mesh, config, log);
  log.info({ adminPort: admin.port }, "process started");

  let services: readonly GrpcService[];
  try {
    services = await definition.start(context);
  } catch (error) {
    if (lifecycle.stopping.aborted) return; // The signal handler ends the process.
    return fail(error);
  }
  const grpcPort = services.length === 0 ? undefined : await serve(services, context);
  phase = "started";
  if (grpcPort !== undefined && !lifecycle.stopping.aborted) {
    const { advertiseHost, version, zone, pod, node } = config;
    mesh.registrar.register({
      service: definition.name,
      instance,
      address: `${advertiseHost}:${grpcPort}`,
      adminAddress: `${advertiseHost}:${admin.port}`,
      version,
      zone,
      weight: 1,
      protocol: "grpc",
      pod,
      node,
    });
  }
  log.info({ grpcPort }, "service started");
}

function readConfig<S extends Settings & typeof BASE_SETTINGS>(
  { name, settings }: ServiceDefinition<S>,
  env: NodeJS.ProcessEnv,
) {
  try {
    return loadConfig(settings, env) as Values<S> & Base;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${name}: the configuration is not valid\n${error.message}\n`);
    process.exit(EXIT.badConfiguration);
  }
}

async function openTracingIfAsked(
  service: string,
  instance: string,
  { otlpEndpoint: endpoint, version }: Base,
): Promise<Tracing | undefined> {
  return endpoint === "" ? undefined : await openTracing({ endpoint, service, instance, version });
}

function openMesh(...parameters: Parameters<typeof newMesh>): Mesh {
  try {
    return newMesh(...parameters);
  } catch (error) {
    if (!isKind(error, "invalid")) throw error;
    const [service, , { tlsDir }] = parameters;
    const advice = `MESH_TLS_DIR (${tlsDir}) must hold the certificate of ${service}, or set MESH_TLS=off`;
    process.stderr.write(`${service}: the identity is not valid: ${error.message}\n${advice}\n`);
    process.exit(EXIT.badConfiguration);
  }
}

/** @throws MeshError invalid IDENTITY_INVALID */
function newMesh(
  service: string,
  instance: string,
  config: Base,
  {
    log,
    metrics,
    clock,
    recordSpan,
    viewOf,
  }: {
    log: Logger;
    metrics: Metrics;
    clock: Clock;
    recordSpan: RecordSpan | undefined;
    viewOf: (etcd: Store) => Store;
  },
): Mesh {
  const random = Math.random;
  return new Mesh({
    connectStore: (meshMetrics) =>
      viewOf(connectEtcd({ endpoints: config.etcdEndpoints, clock, random, log, metrics: meshMetrics })),
    prefix: config.etcdPrefix,
    service,
    instance,
    zone: config.zone,
    connect: config.connection === "http2" ? connectHttp2 : connectGrpc,
    ...(config.tls === "off"
      ? {}
      : { openIdentity: (meshMetrics) => openIdentity(service, config, { log, clock, metrics: meshMetrics }) }),
    clock,
    random,
    log,
    registry: metrics.registry,
    recordSpan,
  });
}

/** @throws MeshError invalid IDENTITY_INVALID */
function openIdentity(
  service: string,
  { tlsDir: dir, trustDomain }: Base,
  dependencies: { log: Logger; clock: Clock; metrics: IdentityMetrics },
): IdentityFiles {
  const identity = new IdentityFiles({ dir, trustDomain, ...dependencies });
  const { service: named } = identity.current;
  if (named !== service) throw new MeshError("invalid", "IDENTITY_INVALID", `tls.crt is the certificate of ${named}`);
  return identity;
}

async function serve<S extends Settings>(
  services: readonly GrpcService[],
  context: ServiceContext<S>,
): Promise<number> {
  const { lifecycle, config, log, metrics, clock, random, mesh, recordSpan } = context;
  const base: Base = config;
  const admission = mesh.admission();
  lifecycle.onClose("admission", async () => admission.close());
  const grpc = new GrpcServer(services, {
    log,
    metrics,
    clock,
    random,
    identity: mesh.identity,
    admission,
    recordSpan,
  });
  const names = services.map(({ definition }) => definition.fullName);
  const setServing = addHealth(grpc.server, names);
  const isDevelopment = base.environment === "dev";
  if (isDevelopment) await addReflection(grpc.server);
  const update = () => {
    const isReady = Object.keys(lifecycle.unreadyReasons()).length === 0;
    setServing(isReady);
    metrics.ready.set(isReady ? 1 : 0);
  };
  setInterval(update, READINESS_EVERY_MS).unref();
  lifecycle.stopping.addEventListener("abort", update);
  lifecycle.onDrain("grpc", () => grpc.drain());
  lifecycle.onClose("grpc", async () => grpc.close());
  return await grpc.listen(base.bindHost, base.grpcPort);
}

function stopOnSignal(lifecycle: Lifecycle, mesh: Mesh, config: Base, log: Logger): void {
  const { drainDelayMs, drainTimeoutMs } = config;
  const stop = (signal: NodeJS.Signals) => {
    if (lifecycle.stopping.aborted) {
      log.warn({ signal }, "second signal, exiting at once");
      process.exit(EXIT.forced);
    }
    log.info({ signal }, "stopping");
    setTimeout(
      () => {
        log.error("shutdown took too long");
        process.exit(EXIT.forced);
      },
      drainDelayMs + drainTimeoutMs + FORCED_EXIT_MARGIN_MS,
    ).unref();
    const leave = () => mesh.registrar.deregister();
    void lifecycle.shutdown({ leave, drainDelayMs, drainTimeoutMs }).then(() => process.exit(EXIT.clean));
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}
