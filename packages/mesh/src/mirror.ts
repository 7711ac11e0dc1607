/** Copies of calls to another version of a service, whose answers nobody waits for. */
import type { Attempt } from "./connection.ts";
import type { Policy } from "./policy.ts";
import type { Target } from "./target.ts";

/** Copies on their way at a time from one client; a version that is slow gets fewer. */
const MAX_IN_FLIGHT = 100;
const MIRROR_TIMEOUT_MS = 1_000;

export class Mirror {
  readonly #target: Target;
  #inFlight = 0;

  constructor(target: Target) {
    this.#target = target;
  }

  /** Sends a copy when the policy asks for it, only of methods that change nothing. */
  copy(policy: Policy, attempt: Omit<Attempt, "timeoutMs" | "signal">): void {
    const { mirror } = policy;
    if (mirror === undefined || attempt.method.options.idempotencyLevel !== "NO_SIDE_EFFECTS") return;
    const { random, metrics } = this.#target.dependencies;
    if (random() >= mirror.share || this.#inFlight >= MAX_IN_FLIGHT) return;
    const peer = this.#target.anyOf(mirror.version);
    if (peer === undefined) return;
    const headers = { ...attempt.headers, "x-mesh-mirror": "1" };
    const labels = { server_address: this.#target.service };
    this.#inFlight += 1;
    peer.connection
      .unary({ ...attempt, headers, timeoutMs: MIRROR_TIMEOUT_MS, signal: undefined })
      .then(
        () => metrics.mirrored.inc({ ...labels, result: "answered" }),
        () => metrics.mirrored.inc({ ...labels, result: "failed" }),
      )
      .finally(() => {
        this.#inFlight -= 1;
      });
  }
}
