/** Keeps this process's endpoint in the registry under a lease, by its own monotonic clock. Knows no etcd. */
import { type Clock, jitter, type Random } from "./clock.ts";
import { type Endpoint, endpointKey } from "./endpoint.ts";
import type { MeshLog } from "./log.ts";
import type { MeshMetrics } from "./metrics.ts";
import type { Lease, Store } from "./store.ts";

export const LEASE_TTL_S = 10;
const RENEW_MS = (LEASE_TTL_S * 1_000) / 3;
/** Without an answer for this long the lease counts as lost and a new one is taken, before etcd would end it. */
const LOST_AFTER_MS = LEASE_TTL_S * 800;
const RETRY_MS = 500;
const DEREGISTER_TIMEOUT_MS = 2_000;
const REVOKE_RETRY_MS = 100;

export type RegistrarState =
  | { readonly kind: "idle" }
  | { readonly kind: "registering" }
  | { readonly kind: "registered"; readonly lease: Lease; readonly lastAckMs: number }
  | { readonly kind: "closed" };

type Registered = Extract<RegistrarState, { kind: "registered" }>;

type Dependencies = {
  readonly store: Store;
  readonly prefix: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: MeshLog;
  readonly metrics: MeshMetrics;
};

export class Registrar {
  readonly #dependencies: Dependencies;
  readonly #closing = new AbortController();
  #state: RegistrarState = { kind: "idle" };

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  get state(): RegistrarState {
    return this.#state;
  }

  /** Registers and stays registered; while the store is away it keeps trying. To be called once. */
  register(endpoint: Endpoint): void {
    if (this.#state.kind !== "idle") throw new Error("a registrar registers one endpoint, once");
    this.#state = { kind: "registering" };
    void this.#run(endpoint);
  }

  /** Removes the endpoint; never fails and never takes longer than 2 s, as the lease ends by itself anyway. */
  async deregister(): Promise<void> {
    const last = this.#state;
    this.#state = { kind: "closed" };
    this.#closing.abort();
    if (last.kind !== "registered") return;
    const { clock } = this.#dependencies;
    const over = new AbortController();
    const timeout = clock.sleep(DEREGISTER_TIMEOUT_MS, over.signal);
    await Promise.race([this.#revoke(last.lease, over.signal), timeout]);
    over.abort();
  }

  /** Tries again, as the connection may have been lost unnoticed while the lease was at rest. */
  async #revoke(lease: Lease, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const isRevoked = await lease.revoke().then(
        () => true,
        () => false,
      );
      if (isRevoked) return;
      await this.#dependencies.clock.sleep(REVOKE_RETRY_MS, signal);
    }
  }

  async #run(endpoint: Endpoint): Promise<void> {
    const { clock, random, log, metrics } = this.#dependencies;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const registered = await this.#take(endpoint);
      if (registered !== undefined) {
        log.info({ "mesh.address": endpoint.address, ttlS: LEASE_TTL_S }, "endpoint registered");
        await this.#keep(registered);
        if (signal.aborted) return;
        metrics.leaseRenewals.inc({ result: "lost" });
        log.warn({ "mesh.address": endpoint.address }, "lease lost; registering again");
        this.#state = { kind: "registering" };
      }
      await clock.sleep(jitter(RETRY_MS, 0.5, random), signal);
    }
  }

  async #take(endpoint: Endpoint): Promise<Registered | undefined> {
    const { store, prefix, clock, metrics } = this.#dependencies;
    try {
      const askedMs = clock.nowMs();
      const lease = await store.grant(LEASE_TTL_S);
      await lease.put(endpointKey(prefix, endpoint), JSON.stringify(endpoint));
      if (this.#closing.signal.aborted) {
        await lease.revoke();
        return undefined;
      }
      metrics.leaseRenewals.inc({ result: "granted" });
      const registered: Registered = { kind: "registered", lease, lastAckMs: askedMs };
      this.#state = registered;
      return registered;
    } catch {
      metrics.leaseRenewals.inc({ result: "failed" });
      return undefined;
    }
  }

  /** Returns when the lease has ended, or may have. */
  async #keep({ lease, lastAckMs: grantedMs }: Registered): Promise<void> {
    const { clock, random, metrics } = this.#dependencies;
    const { signal } = this.#closing;
    let lastAckMs = grantedMs;
    let waitMs = RENEW_MS;
    while (!signal.aborted && clock.nowMs() - lastAckMs < LOST_AFTER_MS) {
      await clock.sleep(jitter(waitMs, 0.1, random), signal);
      if (signal.aborted) return;
      const askedMs = clock.nowMs();
      const answer = await lease.keepAlive().catch(() => "no answer" as const);
      if (answer === false) return;
      metrics.leaseRenewals.inc({ result: answer === true ? "renewed" : "failed" });
      waitMs = answer === true ? RENEW_MS : RETRY_MS;
      if (answer !== true || signal.aborted) continue;
      lastAckMs = askedMs;
      this.#state = { kind: "registered", lease, lastAckMs };
    }
  }
}
