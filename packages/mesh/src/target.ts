/** All calls to one service: its peers, which of them an attempt goes to, and how many calls and retries there may be. */
import { type Balancer, consistentHash, leastLoadedOfTwo, preferZone, roundRobin, subset } from "./balancer.ts";
import { CallLimit } from "./call-limit.ts";
import type { Clock, Random } from "./clock.ts";
import type { Connect } from "./connection.ts";
import type { Endpoint } from "./endpoint.ts";
import { EndpointHealth, type Outcome } from "./endpoint-health.ts";
import type { EndpointTable } from "./endpoint-table.ts";
import { isKind, MeshError } from "./errors.ts";
import { type FaultRule, faultFor } from "./fault-rule.ts";
import type { IdentitySource } from "./identity.ts";
import type { MeshMetrics } from "./metrics.ts";
import { Mirror } from "./mirror.ts";
import { Peer } from "./peer.ts";
import type { Policy } from "./policy.ts";
import type { PolicyTable } from "./policy-table.ts";
import { RetryBudget } from "./retry-budget.ts";
import type { RecordSpan } from "./span.ts";
import { chooseVersion } from "./split.ts";
import { statusName } from "./status.ts";
import { TokenBucket } from "./token-bucket.ts";

/** A deadline shorter than this says more about the caller than about the endpoint. */
const TELLING_DEADLINE_MS = 100;

export type Dependencies = {
  readonly table: EndpointTable;
  readonly policies: PolicyTable;
  readonly connect: Connect;
  /** Undefined where calls go unencrypted. */
  readonly identity: IdentitySource | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: MeshMetrics;
  readonly recordSpan?: RecordSpan | undefined;
  /** Name of the calling service. */
  readonly caller: string;
  /** Name of this process among the clients of a service, and where it runs. */
  readonly instance: string;
  readonly zone: string;
};

/** What the choice of an endpoint depends on: the call's policy, its metadata, and the addresses of its earlier attempts. */
export type Asked = {
  readonly policy: Policy;
  readonly headers: Readonly<Record<string, string>>;
  readonly tried: ReadonlySet<string>;
};

export class Target {
  readonly service: string;
  readonly dependencies: Dependencies;
  readonly #balancers: Readonly<Record<Policy["balancing"]["algorithm"], Balancer>>;
  readonly #limit: CallLimit;
  readonly #connect: Connect;
  readonly #budget = new RetryBudget();
  readonly #bucket = new TokenBucket();
  readonly mirror = new Mirror(this);
  /** By instance: a new instance at a known address does not inherit the old one's reconnection back-off. */
  #peers: ReadonlyMap<string, Peer> = new Map();
  #candidates: readonly Peer[] = [];

  constructor(service: string, dependencies: Dependencies) {
    const { clock, random } = dependencies;
    this.service = service;
    this.dependencies = dependencies;
    this.#balancers = {
      "least-loaded-of-two": leastLoadedOfTwo(random),
      "round-robin": roundRobin(Math.floor(random() * 1_000)),
      "consistent-hash": consistentHash(leastLoadedOfTwo(random)),
    };
    this.#connect = connectTo(service, dependencies);
    this.#limit = new CallLimit(clock, () => this.policy("").limits);
    dependencies.table.onChange(service, () => this.#update(dependencies.table.of(service)));
    this.#update(dependencies.table.of(service));
  }

  /** Endpoints that may be called. */
  get size(): number {
    return this.#candidates.length;
  }

  policy(methodName: string): Policy {
    return this.dependencies.policies.of(this.service, methodName);
  }

  /** The fault that an operator has for this attempt, if any; counted. */
  fault(methodName: string): FaultRule | undefined {
    const { policies, clock, random, caller, metrics } = this.dependencies;
    if (policies.faults.length === 0) return undefined;
    const call = { service: this.service, method: methodName, caller };
    const rule = faultFor(policies.faults, call, clock.wallMs(), random);
    const kind = rule?.abort ?? "delay";
    if (rule !== undefined) metrics.faults.inc({ server_address: this.service, kind });
    return rule;
  }

  /** Runs a call when it is its turn. @throws MeshError exhausted TOO_MANY_CALLS, RATE_LIMITED and what `work` throws */
  async admit<T>(timeoutMs: number, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const { clock } = this.dependencies;
    this.#checkRate();
    if (!this.#limit.tryEnter()) await this.#queue(timeoutMs, signal);
    this.#budget.countCall(clock.nowMs());
    try {
      return await work();
    } finally {
      this.#limit.leave();
    }
  }

  /** One of the endpoints of a version; undefined when it is nowhere. */
  anyOf(version: string): Peer | undefined {
    const peers = this.#candidates.filter(({ endpoint }) => endpoint.version === version);
    return peers[Math.floor(this.dependencies.random() * peers.length)];
  }

  /** The endpoint for an attempt; undefined when none is known. */
  tryChoose(asked: Asked): Peer | undefined {
    return this.#candidates.length === 0 ? undefined : this.#pick(asked);
  }

  /** Waits for a first endpoint until the time is over. @throws MeshError unavailable NO_ENDPOINTS, cancelled CALL_CANCELLED */
  async choose(timeoutMs: number, signal: AbortSignal | undefined, asked: Asked): Promise<Peer> {
    const { table } = this.dependencies;
    if (this.#candidates.length === 0) await table.waitFor(this.service, timeoutMs, signal);
    if (signal?.aborted) throw new MeshError("cancelled", "CALL_CANCELLED", "the caller cancelled the call");
    if (this.#candidates.length === 0)
      throw new MeshError("unavailable", "NO_ENDPOINTS", `no endpoint of ${this.service} is registered`);
    return this.#pick(asked);
  }

  /** Runs one attempt at `peer`, learns from how it ends, and tells its status code. */
  attempt<T>(peer: Peer, timeoutMs: number, work: () => Promise<T>, onEnd: (code: string) => void): Promise<T> {
    const startedMs = this.dependencies.clock.nowMs();
    peer.health.begin(startedMs);
    return work().then(
      (answer) => {
        this.#learn(peer, "success", startedMs);
        onEnd("OK");
        return answer;
      },
      (error) => {
        this.#learn(peer, outcomeOf(error, timeoutMs), startedMs);
        onEnd(statusName(error));
        throw error;
      },
    );
  }

  /** True when one more retry is within the budget. */
  mayRetry({ retries }: Policy): boolean {
    const { clock, metrics } = this.dependencies;
    const may = this.#budget.tryRetry(clock.nowMs(), retries);
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

  async #queue(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock, metrics } = this.dependencies;
    const labels = { server_address: this.service };
    const startedMs = clock.nowMs();
    try {
      await this.#limit.wait(timeoutMs, signal);
    } catch (error) {
      if (isKind(error, "exhausted")) metrics.callsRefused.inc(labels);
      throw error;
    } finally {
      metrics.queueWait.observe(labels, (clock.nowMs() - startedMs) / 1_000);
    }
  }

  #checkRate(): void {
    const { rateLimit } = this.policy("");
    const { clock, metrics } = this.dependencies;
    if (rateLimit === undefined || this.#bucket.take(clock.nowMs(), rateLimit)) return;
    metrics.callsRefused.inc({ server_address: this.service });
    throw new MeshError(
      "exhausted",
      "RATE_LIMITED",
      `more than ${rateLimit.perSecond} calls a second to ${this.service}`,
    );
  }

  #pick({ policy, headers, tried }: Asked): Peer {
    const { zone, clock, random } = this.dependencies;
    const { algorithm, hashHeader, preferZone: isLocalFirst } = policy.balancing;
    const nowMs = clock.nowMs();
    const version = chooseVersion(policy, headers, random);
    const ofVersion = this.#candidates.filter(({ endpoint }) => version === undefined || endpoint.version === version);
    const candidates = ofVersion.length > 0 ? ofVersion : this.#candidates; // A version that is nowhere fails no call.
    const near = isLocalFirst ? preferZone(candidates, zone, nowMs) : candidates;
    const hashKey = hashHeader === undefined ? undefined : headers[hashHeader];
    return this.#balancers[algorithm].pick(near, { tried, nowMs, hashKey });
  }

  #learn(peer: Peer, outcome: Outcome, startedMs: number): void {
    const { clock, metrics } = this.dependencies;
    const nowMs = clock.nowMs();
    const { health } = peer;
    const { ejection } = this.policy("");
    if (!health.end(outcome, nowMs - startedMs, nowMs, ejection)) return;
    if (!this.#canSpare(peer, nowMs, ejection.maxShare)) return;
    health.eject(nowMs, ejection);
    metrics.ejections.inc({ server_address: this.service });
  }

  /** One that is out already can stay out; another may go only while enough are left. */
  #canSpare(peer: Peer, nowMs: number, maxShare: number): boolean {
    const left = this.#candidates.filter(
      (other) => other !== peer && other.health.standing(nowMs).kind === "in",
    ).length;
    return left > 0 && left >= Math.floor(this.#candidates.length * (1 - maxShare));
  }

  #update(endpoints: readonly Endpoint[]): void {
    const { clock, random, instance } = this.dependencies;
    const peers = new Map<string, Peer>();
    for (const endpoint of subset(endpoints, instance)) {
      const known = this.#peers.get(endpoint.instance);
      if (known?.endpoint === endpoint) peers.set(endpoint.instance, known);
      else if (known !== undefined) peers.set(endpoint.instance, known.withEndpoint(endpoint));
      else peers.set(endpoint.instance, new Peer(endpoint, new EndpointHealth(clock.nowMs(), random), this.#connect));
    }
    for (const [name, peer] of this.#peers) if (!peers.has(name)) peer.close();
    this.#peers = peers;
    this.#candidates = [...peers.values()];
  }
}

function connectTo(service: string, { connect, identity }: Dependencies): Connect {
  if (identity === undefined) return connect;
  const security = { source: identity, service };
  return (address) => connect(address, security);
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
