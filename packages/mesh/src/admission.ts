/** Which calls a server takes: within the caller's rate, while its event loop keeps up, and as many at a time as it serves well. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { AdaptiveLimit, type ConcurrencyPolicy } from "./adaptive-limit.ts";
import type { Clock, Random } from "./clock.ts";
import type { CallContext } from "./context.ts";
import { MeshError } from "./errors.ts";
import { LoopShedding, WINDOW_MS } from "./loop-shedding.ts";
import type { MeshMetrics } from "./metrics.ts";
import { type RatePolicy, TokenBucket } from "./token-bucket.ts";

const NS_PER_MS = 1e6;
const US_PER_MS = 1e3;
/** Callers with a rate of their own; more than a mesh has services. */
const MAX_CALLERS = 1_000;

export type ServerPolicy = {
  readonly concurrency: ConcurrencyPolicy;
  /** For each calling service. */
  readonly rateLimit: RatePolicy | undefined;
};

type Dependencies = {
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Pick<MeshMetrics, "callsShed" | "shedShare" | "concurrencyLimit">;
  /** Of the service that is served, by method. */
  readonly policy: (methodName: string) => ServerPolicy;
};

/** `isWaiting`: its calls mostly wait for others, so that how long they take never lowers its limit. */
export type AskedMethod = { readonly method: string; readonly isWaiting?: boolean };

type Method = { readonly limit: AdaptiveLimit; inFlight: number };

export class Admission {
  readonly #dependencies: Dependencies;
  readonly #shedding = new LoopShedding();
  readonly #methods = new Map<string, Method>();
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #delay = monitorEventLoopDelay({ resolution: 20 });
  #cpuAtLook = process.threadCpuUsage();
  #lookedMs: number;
  readonly #timer: NodeJS.Timeout;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
    this.#lookedMs = dependencies.clock.nowMs();
    this.#delay.enable();
    this.#timer = setInterval(() => this.#look(), WINDOW_MS).unref();
  }

  /** Runs `work` if the call is taken. @throws MeshError exhausted RATE_LIMITED, SERVER_OVERLOADED, and what `work` throws */
  async run<T>(
    { method: methodName, isWaiting = false }: AskedMethod,
    { caller, deadlineMs }: Pick<CallContext, "caller" | "deadlineMs">,
    work: () => Promise<T>,
  ): Promise<T> {
    const { clock, random, policy } = this.#dependencies;
    const { concurrency, rateLimit } = policy(methodName);
    const startedMs = clock.nowMs();
    if (rateLimit !== undefined && !this.#bucketOf(caller).take(startedMs, rateLimit))
      throw this.#shed("rate", new MeshError("exhausted", "RATE_LIMITED", `${caller} calls too often`));
    if (this.#shedding.share > 0 && random() < this.#shedding.share) throw this.#shed("event-loop", overloaded());
    const method = this.#methodOf(methodName);
    if (method.inFlight >= method.limit.within(concurrency)) throw this.#shed("concurrency", overloaded());
    method.inFlight += 1;
    try {
      return await work();
    } finally {
      method.limit.learn(
        isWaiting ? 0 : clock.nowMs() - startedMs,
        deadlineMs - startedMs,
        method.inFlight,
        concurrency,
      );
      method.inFlight -= 1;
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#delay.disable();
  }

  #look(): void {
    const { metrics, policy } = this.#dependencies;
    this.#shedding.learn(this.#delay.percentile(99) / NS_PER_MS, this.#cpuShare());
    this.#delay.reset();
    metrics.shedShare.set(this.#shedding.share);
    for (const [name, { limit }] of this.#methods)
      metrics.concurrencyLimit.set({ rpc_method: name }, limit.within(policy(name).concurrency));
  }

  /**
   * CPU that this thread had since the last look, of the time that has passed. Not the loop's utilization: that counts the
   * time as work in which a process stood still because others had the CPU.
   */
  #cpuShare(): number {
    const nowMs = this.#dependencies.clock.nowMs();
    const cpu = process.threadCpuUsage();
    const usedMs = (cpu.user + cpu.system - this.#cpuAtLook.user - this.#cpuAtLook.system) / US_PER_MS;
    const share = usedMs / Math.max(1, nowMs - this.#lookedMs);
    this.#cpuAtLook = cpu;
    this.#lookedMs = nowMs;
    return share;
  }

  #shed(cause: string, error: MeshError): MeshError {
    this.#dependencies.metrics.callsShed.inc({ cause });
    return error;
  }

  #methodOf(name: string): Method {
    const known = this.#methods.get(name);
    if (known !== undefined) return known;
    const made = { limit: new AdaptiveLimit(), inFlight: 0 };
    this.#methods.set(name, made);
    return made;
  }

  #bucketOf(caller: string): TokenBucket {
    const known = this.#buckets.get(caller);
    if (known !== undefined) return known;
    if (this.#buckets.size >= MAX_CALLERS) this.#buckets.clear(); // Names that nobody has vouched for.
    const made = new TokenBucket();
    this.#buckets.set(caller, made);
    return made;
  }
}

function overloaded(): MeshError {
  return new MeshError("exhausted", "SERVER_OVERLOADED", "the server has too much to do");
}
