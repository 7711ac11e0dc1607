/** The whole system as processes of this machine. `make start`, the tests and the chaos runs all use this. */
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { KafkaBus } from "@ordermesh/events/kafka";
import { systemClock } from "@ordermesh/mesh/clock";
import { createLogger } from "@ordermesh/runtime/log";
import { Authority } from "./certificates.ts";
import { addressesFor, type Links } from "./links.ts";
import { freePorts } from "./part.ts";
import { type Parts, type PartsOptions, prepareParts, startPart, stopParts } from "./parts.ts";
import { createDatabase, databaseUrl } from "./postgres.ts";
import { ManagedProcess } from "./process.ts";
import { type Instance, instancesOf, MEMORY, SERVICES, type ServiceSpec } from "./services.ts";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const READY_MS = 60_000;
const POLL_MS = 100;
const STOP_SERVICE_MS = 12_000;

export type SystemOptions = Omit<PartsOptions, "kafkaClients"> & {
  /** Port of the shop; 0 takes a free one. */
  readonly httpPort: number;
  /** More than one process of a service, by its name. */
  readonly replicas?: Readonly<Record<string, number>>;
  /** Further environment for all services, or for one under its name. */
  readonly serviceEnv?: Readonly<Record<string, string>>;
  readonly envOf?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Another entry file for a service, relative to the repository: test wiring. */
  readonly entries?: Readonly<Record<string, string>>;
  /** How long certificates of services hold, and how often they are renewed; an hour and every 20 minutes if not given. */
  readonly certificates?: { readonly lifetimeMs: number; readonly renewEveryMs: number };
  /** The longest wait before a service that ended is started again; 10 s if not given. */
  readonly maxBackoffMs?: number;
  /** Waits before it starts a process, for tests of the order of starting. */
  readonly delayMs?: (process: string) => number;
  /** What stands between services and parts. */
  readonly links?: Links;
  /** Gives the start up: what runs already is stopped, and `start` rejects. */
  readonly signal?: AbortSignal;
};

type Service = { readonly spec: ServiceSpec; readonly process: ManagedProcess; readonly adminUrl: string };

/** What a running system tells others through its state file. */
export type SystemState = {
  readonly pid: number;
  readonly url: string;
  readonly environment: string;
  readonly adminUrls: Readonly<Record<string, string>>;
  readonly databases: Readonly<Record<string, string>>;
  readonly etcd: string;
  readonly kafka: string;
  readonly logDir: string;
};

export class System {
  readonly parts: Parts;
  readonly url: string;
  readonly logDir: string;
  readonly #services: ReadonlyMap<string, Service>;
  readonly #databases: Readonly<Record<string, string>>;
  readonly #environment: string;
  readonly #authority: Authority;

  private constructor(parts: Parts, authority: Authority, options: SystemOptions, ports: readonly number[]) {
    this.parts = parts;
    this.#authority = authority;
    this.logDir = join(options.dir, "logs");
    this.#databases = databaseUrls(parts.postgres.address);
    this.#environment = options.serviceEnv?.MESH_ENVIRONMENT ?? "dev";
    const httpPort = options.httpPort === 0 ? ports[0] : options.httpPort;
    this.url = `http://127.0.0.1:${httpPort}`;
    const services = new Map<string, Service>();
    for (const [index, instance] of instancesOf(options.replicas).entries()) {
      const adminPort = ports[index + 1] ?? 0;
      const env = this.#envFor(instance, adminPort, httpPort ?? 0, options);
      services.set(instance.name, this.#service(instance, env, adminPort, options));
    }
    this.#services = services;
  }

  /** Starts parts and services, in no order, and resolves when an order can be placed. */
  static async start(options: SystemOptions): Promise<System> {
    mkdirSync(options.dir, { recursive: true });
    const instances = instancesOf(options.replicas);
    const kafkaClients = clientsOfKafka(instances, options.links);
    const [parts, ports, authority] = await Promise.all([
      prepareParts({ ...options, kafkaClients }),
      freePorts(instances.length + 1),
      certify(options),
    ]);
    const system = new System(parts, authority, options, ports);
    try {
      await options.progress("Starting etcd, Kafka, PostgreSQL and the services", () =>
        Promise.race([system.#startAll(options), untilGivenUp(options.signal)]),
      );
      return system;
    } catch (error) {
      await system.stop();
      throw error;
    }
  }

  /** Names of all processes: services such as `payment-1`, and parts such as `kafka-1`. */
  get names(): string[] {
    return [
      ...this.#services.keys(),
      ...Object.values(this.parts).flatMap(({ processes }) => processes.map(({ spec }) => spec.name)),
    ];
  }

  get state(): SystemState {
    const adminUrls = Object.fromEntries([...this.#services].map(([name, { adminUrl }]) => [name, adminUrl]));
    const { etcd, kafka } = this.parts;
    return {
      pid: process.pid,
      url: this.url,
      environment: this.#environment,
      adminUrls,
      databases: this.#databases,
      etcd: etcd.address,
      kafka: kafka.address,
      logDir: this.logDir,
    };
  }

  /** @throws RangeError when there is none of that name */
  process(name: string): ManagedProcess {
    const part = Object.values(this.parts)
      .flatMap(({ processes }) => processes)
      .find(({ spec }) => spec.name === name);
    const found = this.#services.get(name)?.process ?? part;
    if (found === undefined) throw new RangeError(`${name} is none of ${this.names.join(", ")}`);
    return found;
  }

  databaseUrl(service: string): string {
    const url = this.#databases[service];
    if (url === undefined) throw new RangeError(`${service} has no database`);
    return url;
  }

  adminUrl(name: string): string {
    const service = this.#services.get(name);
    if (service === undefined) throw new RangeError(`${name} is no service's process`);
    return service.adminUrl;
  }

  /** Names of a service's processes. */
  instancesOf(service: string): string[] {
    return [...this.#services].filter(([, { spec }]) => spec.name === service).map(([name]) => name);
  }

  /** A new certificate for a service, which its processes find within seconds; of the usual lifetime if none is given. */
  async renewCertificate(service: string, lifetimeMs?: number): Promise<void> {
    await this.#authority.issue(service, lifetimeMs);
  }

  /** Resolves when every service is ready and the shop lists products. */
  async untilReady(timeoutMs = READY_MS): Promise<void> {
    const endsMs = performance.now() + timeoutMs;
    let reason = "";
    while (performance.now() < endsMs) {
      reason = await this.#whyNotReady();
      if (reason === "") return;
      await sleep(POLL_MS);
    }
    throw new Error(`the system was not ready after ${timeoutMs / 1_000} s: ${reason}; logs are in ${this.logDir}`);
  }

  /** Services first, so that they drain while their parts still answer. */
  async stop(): Promise<void> {
    await Promise.all([...this.#services.values()].map(({ process }) => process.stop(STOP_SERVICE_MS)));
    this.#authority.close();
    await stopParts(this.parts);
  }

  async #startAll({ delayMs = () => 0, kafkaNodes = 1 }: SystemOptions): Promise<void> {
    const { etcd, kafka, postgres } = this.parts;
    const services = [...this.#services].map(async ([name, { process }]) => {
      await sleep(delayMs(name));
      process.start();
    });
    await Promise.all([
      ...services,
      startPart(etcd, delayMs),
      startPart(kafka, delayMs).then(() => ensureTopics(kafka.address, kafkaNodes)),
      startPart(postgres, delayMs).then(() => createDatabases(postgres.address)),
    ]);
    await this.untilReady();
  }

  async #whyNotReady(): Promise<string> {
    for (const [name, { adminUrl, process }] of this.#services) {
      const answer = await get(`${adminUrl}/readyz`);
      if (answer === undefined) return `${name} does not answer\n${process.logTail()}`;
      if (!answer.ok) return `${name} is not ready: ${answer.body}`;
    }
    const products = await get(`${this.url}/api/products`);
    return products?.ok === true && products.body.includes('"sku"') ? "" : "the shop lists no products yet";
  }

  #service({ name, spec }: Instance, env: Record<string, string>, adminPort: number, options: SystemOptions): Service {
    const entry = options.entries?.[spec.name] ?? `services/${spec.name}/src/main.ts`;
    const [file = "", ...args] = entry.split(" ");
    const managed = new ManagedProcess({
      name,
      command: process.execPath,
      args: [...MEMORY.args, join(ROOT, file), ...args],
      env,
      logFile: join(this.logDir, `${name}.log`),
      restarts: true,
      ...(options.maxBackoffMs === undefined ? {} : { maxBackoffMs: options.maxBackoffMs }),
    });
    return { spec, process: managed, adminUrl: `http://127.0.0.1:${adminPort}` };
  }

  #envFor(
    { name, spec }: Instance,
    adminPort: number,
    httpPort: number,
    options: SystemOptions,
  ): Record<string, string> {
    const { etcd, kafka, postgres } = addressesFor(name, this.parts, options.links);
    return {
      ...options.env,
      ...MEMORY.env,
      NODE_COMPILE_CACHE: join(options.cacheDir, "node-compile"),
      MESH_INSTANCE: name,
      MESH_BIND_HOST: "127.0.0.1",
      MESH_GRPC_PORT: "0",
      MESH_ADMIN_PORT: String(adminPort),
      MESH_ENVIRONMENT: "dev",
      MESH_DRAIN_DELAY_MS: "500",
      MESH_ETCD_ENDPOINTS: etcd,
      MESH_TLS_DIR: this.#authority.folderOf(spec.name),
      ...(spec.hasDatabase ? { MESH_POSTGRES_URL: databaseUrl(postgres, spec.name) } : {}),
      ...(spec.hasEvents ? { MESH_KAFKA_BROKERS: kafka } : {}),
      ...(spec.name === "storefront"
        ? { MESH_HTTP_PORT: String(httpPort), MESH_HTTP_HOST: "127.0.0.1", MESH_COOKIE_SECRET: "for this machine only" }
        : {}),
      ...options.serviceEnv,
      ...options.envOf?.[spec.name],
    };
  }
}

/** A certificate for each service, renewed until the system stops. */
async function certify({ dir, certificates }: SystemOptions): Promise<Authority> {
  const authority = await Authority.create(join(dir, "certificates"), certificates?.lifetimeMs);
  await Promise.all(SERVICES.map(({ name }) => authority.issue(name)));
  authority.keepRenewing(certificates?.renewEveryMs);
  return authority;
}

function clientsOfKafka(instances: readonly Instance[], links: Links | undefined): Record<string, string> {
  if (links === undefined) return {};
  const clients = instances.filter(({ spec }) => spec.hasEvents);
  return Object.fromEntries(clients.map(({ name }) => [name, links.addressOf(name, "kafka")]));
}

async function untilGivenUp(signal?: AbortSignal): Promise<void> {
  if (signal?.aborted !== true) await once(signal ?? new EventTarget(), "abort");
  throw new Error("the start was given up");
}

/** Writes the state for others to join; `undefined` removes it. */
export function writeState(file: string, state: SystemState | undefined): void {
  if (state === undefined) rmSync(file, { force: true });
  else writeFileSync(file, `${JSON.stringify(state, null, 2)}\n`);
}

function databaseUrls(adminUrl: string): Record<string, string> {
  const names = SERVICES.filter(({ hasDatabase }) => hasDatabase).map(({ name }) => name);
  return Object.fromEntries(names.map((name) => [name, databaseUrl(adminUrl, name)]));
}

async function createDatabases(adminUrl: string): Promise<void> {
  const names = SERVICES.filter(({ hasDatabase }) => hasDatabase).map(({ name }) => name);
  await Promise.all(names.map((name) => createDatabase(adminUrl, name)));
}

async function ensureTopics(brokers: string, nodes: number): Promise<void> {
  const log = createLogger({ service: "local", instance: "local", version: "", level: "silent" });
  const bus = new KafkaBus({ brokers: brokers.split(","), clientId: "ordermesh-local", log, clock: systemClock });
  await bus.ensureTopics(Math.min(nodes, 3));
  await bus.close();
}

async function get(url: string): Promise<{ ok: boolean; body: string } | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    return { ok: response.ok, body: await response.text() };
  } catch {
    return undefined;
  }
}
