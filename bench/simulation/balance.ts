/** A discrete-event simulation of many clients that call many servers, with the mesh's own balancers and health. One seed, one result. */
import {
  type Balancer,
  type Candidate,
  consistentHash,
  leastLoadedOfTwo,
  roundRobin,
  subset,
} from "@ordermesh/mesh/balancer";
import type { Endpoint } from "@ordermesh/mesh/endpoint";
import { EJECTION, EndpointHealth } from "@ordermesh/mesh/endpoint-health";
import { seeded } from "@ordermesh/mesh/seeded";
import { exponential } from "./exponential.ts";
import { TimeHeap } from "./time-heap.ts";

export type Algorithm = "least-loaded-of-two" | "round-robin" | "consistent-hash";
export type Scenario = {
  readonly clients: number;
  readonly servers: number;
  readonly algorithm: Algorithm;
  /** Whether a client of more than 50 endpoints uses 20. */
  readonly isSubset: boolean;
  /** Share of the servers that take five times as long. */
  readonly slowShare: number;
  readonly seconds: number;
  readonly seed: number;
};
export type Balance = {
  /** Calls of the busiest server over the mean. */
  readonly maxToMean: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
};

/** What one call takes of one of a server's workers, on average. */
const WORK_MS = 10;
const WORKERS = 4;
const SLOWER = 5;
/** Of what all servers together can do. */
const LOAD = 0.6;
/** Until the clients know their servers. */
const WARM_MS = 12_000;
const KEYS = 10_000;
const UNTRIED: ReadonlySet<string> = new Set();

type Server = { readonly factor: number; busy: number; calls: number; readonly queue: Job[] };
type Job = { readonly server: Server; readonly health: EndpointHealth; readonly startedMs: number };

export function simulate({ clients, servers, algorithm, isSubset, slowShare, seconds, seed }: Scenario): Balance {
  const random = seeded(seed);
  const fleet = Array.from({ length: servers }, (_, number): Server => {
    const factor = number < servers * slowShare ? SLOWER : 1;
    return { factor, busy: 0, calls: 0, queue: [] };
  });
  const views = Array.from({ length: clients }, (_, number) => viewOf(`client-${number}`, fleet, isSubset, random));
  const balancers = views.map((_, number) => balancerOf(algorithm, number, random));
  const capacityPerMs = fleet.reduce((sum, { factor }) => sum + WORKERS / (WORK_MS * factor), 0);
  const ends = new TimeHeap<Job>();
  const latencies: number[] = [];
  const endMs = WARM_MS + seconds * 1_000;
  const begin = (job: Job, nowMs: number) => {
    job.server.busy += 1;
    ends.push(nowMs + exponential(WORK_MS * job.server.factor, random), job);
  };
  const finish = (job: Job, nowMs: number) => {
    const { server, health, startedMs } = job;
    health.end("success", nowMs - startedMs, nowMs, EJECTION);
    server.busy -= 1;
    if (startedMs >= WARM_MS) latencies.push(nowMs - startedMs);
    const next = server.queue.shift();
    if (next !== undefined) begin(next, nowMs);
  };
  for (let nowMs = 0; nowMs < endMs; nowMs += exponential(1 / (capacityPerMs * LOAD), random)) {
    for (let end = ends.popUntil(nowMs); end !== undefined; end = ends.popUntil(nowMs)) finish(end.item, end.atMs);
    const client = Math.floor(random() * clients);
    const hashKey = `key-${Math.floor(random() * KEYS)}`;
    const chosen = balancers[client]?.pick(views[client] ?? [], { tried: UNTRIED, nowMs, hashKey });
    if (chosen === undefined) throw new RangeError("a client without servers");
    const { server, health } = chosen;
    health.begin(nowMs);
    if (nowMs >= WARM_MS) server.calls += 1;
    const job = { server, health, startedMs: nowMs };
    if (server.busy < WORKERS) begin(job, nowMs);
    else server.queue.push(job);
  }
  return resultOf(fleet, latencies, endMs);
}

function resultOf(fleet: readonly Server[], latencies: number[], endMs: number): Balance {
  // What still waits has taken this long at least.
  for (const { queue } of fleet)
    for (const { startedMs } of queue) if (startedMs >= WARM_MS) latencies.push(endMs - startedMs);
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? 0;
  const calls = fleet.map((server) => server.calls);
  const mean = calls.reduce((sum, count) => sum + count, 0) / fleet.length;
  return { maxToMean: Math.max(...calls) / mean, p50Ms: at(0.5), p99Ms: at(0.99) };
}

type View = Candidate & { readonly server: Server };

function viewOf(client: string, fleet: readonly Server[], isSubset: boolean, random: () => number): View[] {
  const facts = { service: "echo", adminAddress: "", version: "", zone: "", weight: 1, pod: "", node: "" } as const;
  const endpoints = fleet.map((_, number): Endpoint => {
    const instance = `echo-${number}`;
    return { ...facts, instance, address: `${instance}:1`, protocol: "grpc" };
  });
  const used = isSubset ? subset(endpoints, client) : endpoints;
  return used.map((endpoint) => {
    const server = fleet[Number(endpoint.instance.slice("echo-".length))] as Server;
    return { endpoint, isFailing: false, health: new EndpointHealth(0, random), server };
  });
}

function balancerOf(algorithm: Algorithm, client: number, random: () => number): Balancer {
  switch (algorithm) {
    case "least-loaded-of-two":
      return leastLoadedOfTwo(random);
    case "round-robin":
      return roundRobin(client * 7);
    case "consistent-hash":
      return consistentHash(leastLoadedOfTwo(random));
  }
}
