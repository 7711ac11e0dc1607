/** The mesh of one process: clients that find their services, and the registration of its own. Wires the other files. */
import type { Registry } from "prom-client";
import { Admission } from "./admission.ts";
import { createClient } from "./client.ts";
import type { Clock, Random } from "./clock.ts";
import { type LiveConfig, watchConfig } from "./config-watch.ts";
import type { Connect } from "./connection.ts";
import type { Endpoint } from "./endpoint.ts";
import { EndpointTable } from "./endpoint-table.ts";
import { connectGrpc } from "./grpc-connection.ts";
import { connectHttp2 } from "./http2-connection.ts";
import type { IdentitySource } from "./identity.ts";
import type { MeshLog } from "./log.ts";
import { MeshChannel } from "./mesh-channel.ts";
import { createMeshMetrics, type IdentityMetrics, type MeshMetrics } from "./metrics.ts";
import { PolicyTable } from "./policy-table.ts";
import { Registrar } from "./registrar.ts";
import type { MeshClient, ServiceDefinition } from "./service-definition.ts";
import type { RecordSpan } from "./span.ts";
import type { Store } from "./store.ts";
import { type Dependencies, Target } from "./target.ts";

export type MeshOptions = {
  /** Makes the store once the metrics exist; for instance `(metrics) => connectEtcd({ …, metrics })`. */
  readonly connectStore: (metrics: MeshMetrics) => Store;
  /** Keys are `<prefix>/endpoints/…` and `<prefix>/config/…`. */
  readonly prefix: string;
  /** Name of this service, as others see the caller. */
  readonly service: string;
  /** Name of this process, unique in its service, and the zone that it runs in. */
  readonly instance?: string;
  readonly zone?: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: MeshLog;
  readonly registry: Registry;
  /** How to reach one address; over our own http2 connection by default. */
  readonly connect?: Connect;
  /** Gets each attempt of each call. */
  readonly recordSpan?: RecordSpan | undefined;
  /** Makes calls go over mutual TLS; for instance `(metrics) => new IdentityFiles({ …, metrics })`. */
  readonly openIdentity?: (metrics: IdentityMetrics) => IdentitySource;
};

export class Mesh {
  readonly registrar: Registrar;
  /** Who this process is; undefined where calls go unencrypted. */
  readonly identity: IdentitySource | undefined;
  readonly #options: MeshOptions;
  readonly #metrics: MeshMetrics;
  readonly #store: Store;
  readonly #table: EndpointTable;
  readonly #policies: PolicyTable;
  readonly #targets = new Map<string, Target>();
  /** For channels, which are always grpc-js'. */
  readonly #channelTargets = new Map<string, Target>();

  constructor(options: MeshOptions) {
    const { clock, random, log, prefix } = options;
    this.#options = options;
    this.#metrics = createMeshMetrics(options.registry, clock);
    this.identity = options.openIdentity?.(this.#metrics);
    this.#store = options.connectStore(this.#metrics);
    this.#table = new EndpointTable({ store: this.#store, prefix, clock, log, metrics: this.#metrics });
    this.#policies = new PolicyTable({ store: this.#store, prefix, clock, log, metrics: this.#metrics });
    this.registrar = new Registrar({ store: this.#store, prefix, clock, random, log, metrics: this.#metrics });
  }

  /** A client of `service`; all clients of one service share its connections. `timeoutMs` bounds calls that name none. */
  client<S extends ServiceDefinition>(definition: S, service: string, timeoutMs?: number): MeshClient<S> {
    return createClient(definition, this.#target(service), timeoutMs);
  }

  /** For grpc-js stubs that exist already: `new Stub("mesh", credentials.createInsecure(), { channelOverride: mesh.channel("payment") })`. */
  channel(service: string): MeshChannel {
    const known = this.#channelTargets.get(service);
    const target = known ?? new Target(service, this.#dependencies(connectGrpc));
    this.#channelTargets.set(service, target);
    return new MeshChannel(target);
  }

  /** Follows `<prefix>/config/<service>`. */
  config<T>(parse: (document: string) => T, fallback: T): LiveConfig<T> {
    const { prefix, service, log } = this.#options;
    const key = `${prefix}/config/${service}`;
    return watchConfig({ store: this.#store, key, parse, fallback, log, metrics: this.#metrics });
  }

  /** What a server of this process asks before it serves a call; the policy is the one of its own service. */
  admission(): Admission {
    const { clock, random, service } = this.#options;
    const policy = (methodName: string) => this.#policies.of(service, methodName).server;
    return new Admission({ clock, random, metrics: this.#metrics, policy });
  }

  /** All that is registered, by service. */
  get endpoints(): ReadonlyMap<string, readonly Endpoint[]> {
    return this.#table.services;
  }

  /** What `/debug/mesh` shows. */
  debug(): unknown {
    const targets = [...this.#targets.values(), ...this.#channelTargets.values()].map((target) => target.debug());
    const endpoints = Object.fromEntries(this.#table.services);
    const { revision, documents, faults } = this.#policies;
    const policy = { revision: String(revision), documents: Object.fromEntries(documents), faults };
    return {
      revision: String(this.#table.revision),
      policy,
      registration: this.registrar.state.kind,
      endpoints,
      targets,
    };
  }

  /** Leaves the registry if that has not happened yet, and lets go of everything. */
  async close(): Promise<void> {
    await this.registrar.deregister();
    for (const target of [...this.#targets.values(), ...this.#channelTargets.values()]) target.close();
    this.#table.close();
    this.#policies.close();
    this.#store.close();
    this.identity?.close();
  }

  #target(service: string): Target {
    const known = this.#targets.get(service);
    if (known !== undefined) return known;
    const made = new Target(service, this.#dependencies(this.#options.connect ?? connectHttp2));
    this.#targets.set(service, made);
    return made;
  }

  #dependencies(connect: Connect): Dependencies {
    const { clock, random, service: caller, zone = "", recordSpan } = this.#options;
    const { instance = `${caller}-${Math.floor(random() * 1e9)}` } = this.#options;
    const own = { caller, instance, zone, clock, random, metrics: this.#metrics, recordSpan };
    return { table: this.#table, policies: this.#policies, connect, identity: this.identity, ...own };
  }
}
