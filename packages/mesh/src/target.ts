/** All calls to one service: its peers, which of them an attempt goes to, and how many calls and retries there may be. */
import { type Balancer, preferZone, subset } from "./balancer.ts";
import { CALL_LIMIT, CallLimit } from "./call-limit.ts";
import type { Clock, Random } from "./clock.ts";
import type { Connect } from "./connection.ts";
import type { Endpoint } from "./endpoint.ts";
import { EJECTION, EndpointHealth, type Outcome } from "./endpoint-health.ts";
import type { EndpointTable } from "./endpoint-table.ts";
import { MeshError } from "./errors.ts";
import type { MeshMetrics } from "./metrics.ts";
import { Peer } from "./peer.ts";
import { RETRY_BUDGET, RetryBudget } from "./retry-budget.ts";

/** At least this share of a service's endpoints stays in, whatever they do. */
const LEAST_IN = 0.5;
/** A deadline shorter than this says more about the caller than about the endpoint. */
const TELLING_DEADLINE_MS = 100;

export type Dependencies = {
  readonly table: EndpointTable;
  readonly connect: Connect;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: MeshMetrics;
  /** Name of the calling service. */
  readonly caller: string;
  /** Name of this process among the clients of a service, and where it runs. */
  readonly instance: string;
  readonly zone: string;
};

export class Target {
  readonly service: string;
  readonly dependencies: Dependencies;
  readonly #balancer: Balancer;
  readonly #limit: CallLimit;
  readonly #budget = new RetryBudget();
  /** By instance: a new instance at a known address does not inherit the old one's reconnection back-off. */
  #peers: ReadonlyMap<string, Peer> = new Map();
  #candidates: readonly Peer[] = [];

  constructor(service: string, balancer: Balancer, dependencies: Dependencies) {
    this.service = service;
    this.dependencies = dependencies;
    this.#balancer = balancer;
    this.#limit = new CallLimit(dependencies.clock, CALL_LIMIT);
    dependencies.table.onChange(() => this.#update(dependencies.table.of(service)));
    this.#update(dependencies.table.of(service));
  }

  /** Runs a call when it is its turn. @throws MeshError exhausted TOO_MANY_CALLS and what `work` throws */
  async admit<T>(timeoutMs: number, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const { clock, metrics } = this.dependencies;
    if (!this.#limit.tryEnter())
      await this.#limit.wait(timeoutMs, signal).catch((error) => {
        metrics.callsRefused.inc({ server_address: this.service });
        throw error;
      });
    this.#budget.countCall(clock.nowMs());
    try {
      return await work();
    } finally {
      this.#limit.leave();
    }
  }

  /** Waits for a first endpoint until the time is over. @throws MeshError unavailable NO_ENDPOINTS, cancelled CALL_CANCELLED */
  async choose(timeoutMs: number, signal: AbortSignal | undefined, tried: ReadonlySet<string>): Promise<Peer> {
    const { table, zone, clock } = this.dependencies;
    if (this.#candidates.length === 0) await table.waitFor(this.service, timeoutMs, signal);
    if (signal?.aborted) throw new MeshError("cancelled", "CALL_CANCELLED", "the caller cancelled the call");
    if (this.#candidates.length === 0)
      throw new MeshError("unavailable", "NO_ENDPOINTS", `no endpoint of ${this.service} is registered`);
    const nowMs = clock.nowMs();
    return this.#balancer.pick(preferZone(this.#candidates, zone, nowMs), { tried, nowMs });
  }

  /** Runs one attempt at `peer` and learns from how it ends. */
  async attempt<T>(peer: Peer, timeoutMs: number, work: () => Promise<T>): Promise<T> {
    const { clock } = this.dependencies;
    const startedMs = clock.nowMs();
    peer.health.begin(startedMs);
    try {
      const answer = await work();
      this.#learn(peer, "success", startedMs);
      return answer;
    } catch (error) {
      this.#learn(peer, outcomeOf(error, timeoutMs), startedMs);
      throw error;
    }
  }

  /** True when one more retry is within the budget. */
  mayRetry(): boolean {
    const { clock, metrics } = this.dependencies;
    const may = this.#budget.tryRetry(clock.nowMs(), RETRY_BUDGET);
    (may ? metrics.retries : metrics.retriesRefused).inc({ server_address: this.service });
    return may;
  }

  close(): void {
    for (const peer of this.#peers.values()) peer.close();
    this.#peers = new Map();
    this.#candidates = [];
  }

  /** What `/debug/mesh` shows. */
  debug(): unknown {
    const nowMs = this.dependencies.clock.nowMs();
    const { inFlight, queued } = this.#limit;
    const connections = [...this.#peers.values()].map((peer) => peer.debug(nowMs));
    return { service: this.service, inFlight, queued, connections };
  }

  #learn(peer: Peer, outcome: Outcome, startedMs: number): void {
    const { clock, metrics } = this.dependencies;
    const nowMs = clock.nowMs();
    const { health } = peer;
    if (!health.end(outcome, nowMs - startedMs, nowMs, EJECTION) || !this.#canSpare(peer, nowMs)) return;
    health.eject(nowMs, EJECTION);
    metrics.ejections.inc({ server_address: this.service });
  }

  /** One that is out already can stay out; another may go only while enough are left. */
  #canSpare(peer: Peer, nowMs: number): boolean {
    const left = this.#candidates.filter(
      (other) => other !== peer && other.health.standing(nowMs).kind === "in",
    ).length;
    return left > 0 && left >= Math.floor(this.#candidates.length * LEAST_IN);
  }

  #update(endpoints: readonly Endpoint[]): void {
    const { clock, random, connect, instance } = this.dependencies;
    const peers = new Map<string, Peer>();
    for (const endpoint of subset(endpoints, instance)) {
      const known = this.#peers.get(endpoint.instance);
      if (known?.endpoint === endpoint) peers.set(endpoint.instance, known);
      else if (known !== undefined) peers.set(endpoint.instance, known.withEndpoint(endpoint));
      else peers.set(endpoint.instance, new Peer(endpoint, new EndpointHealth(clock.nowMs(), random), connect));
    }
    for (const [name, peer] of this.#peers) if (!peers.has(name)) peer.close();
    this.#peers = peers;
    this.#candidates = [...peers.values()];
  }
}

/** Only what the endpoint or the way to it did counts against it (gRPC's own outlier detection takes NOT_FOUND for an illness). */
function outcomeOf(error: unknown, timeoutMs: number): Outcome {
  if (!(error instanceof MeshError)) return "failure";
  switch (error.kind) {
    case "unavailable":
      return "failure";
    case "internal":
      return error.reason.startsWith("TRANSPORT_") ? "failure" : "success";
    case "deadline":
      return timeoutMs >= TELLING_DEADLINE_MS ? "failure" : "unknown";
    case "exhausted":
      return "refusal";
    case "cancelled":
      return "unknown";
    default:
      return "success";
  }
}
