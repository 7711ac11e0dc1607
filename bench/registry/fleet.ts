/** A fleet as the registry holds it, and a client's view of it: the real table, policies and targets above any store. */
import { systemClock } from "@ordermesh/mesh/clock";
import type { Connect } from "@ordermesh/mesh/connection";
import { type Endpoint, endpointKey } from "@ordermesh/mesh/endpoint";
import { EndpointTable } from "@ordermesh/mesh/endpoint-table";
import { createMeshMetrics, type MeshMetrics } from "@ordermesh/mesh/metrics";
import { PolicyTable } from "@ordermesh/mesh/policy-table";
import { seeded } from "@ordermesh/mesh/seeded";
import type { Store } from "@ordermesh/mesh/store";
import { Target } from "@ordermesh/mesh/target";
import { Registry } from "prom-client";

export const PREFIX = "/ordermesh";

/** Names as a Deployment's pods have them, so that documents are as long as in a cluster. */
export function anInstance(number: number, service: string, weight = 1): Endpoint {
  const pod = `${service}-6c9f7d4b58-${(number + 60_466_176).toString(36).slice(-5)}`;
  const host = `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
  return {
    service,
    instance: pod,
    address: `${host}:7000`,
    adminAddress: `${host}:9000`,
    version: "v1.24.3-2f9c1ab",
    zone: `eu-central-1${"abc"[number % 3]}`,
    weight,
    protocol: "grpc",
    pod,
    node: `ip-10-0-${(number >> 5) & 255}-${number & 31}.internal`,
  };
}

export function serviceName(number: number): string {
  return `service-${String(number).padStart(4, "0")}`;
}

/** `endpoints` in turn over `services`. */
export function aFleet(endpoints: number, services: number): Endpoint[] {
  return Array.from({ length: endpoints }, (_, number) => anInstance(number, serviceName(number % services)));
}

export function put(endpoint: Endpoint): readonly [key: string, document: string] {
  return [endpointKey(PREFIX, endpoint), JSON.stringify(endpoint)];
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const neverConnects: Connect = (address) => {
  throw new Error(`nothing calls ${address} in this benchmark`);
};

export class ClientView {
  readonly metrics: MeshMetrics;
  readonly table: EndpointTable;
  readonly policies: PolicyTable;
  readonly targets: readonly Target[];

  constructor(openStore: (metrics: MeshMetrics) => Store, services: readonly string[]) {
    this.metrics = createMeshMetrics(new Registry(), systemClock);
    const common = { prefix: PREFIX, clock: systemClock, log: silent, metrics: this.metrics };
    const store = openStore(this.metrics);
    this.table = new EndpointTable({ ...common, store });
    this.policies = new PolicyTable({ ...common, store });
    const own = { caller: "bench", instance: "bench-6c9f7d4b58-00001", zone: "eu-central-1a", identity: undefined };
    const { table, policies } = this;
    const dependencies = { ...common, ...own, table, policies, connect: neverConnects, random: seeded(1) };
    this.targets = services.map((service) => new Target(service, dependencies));
  }
}
