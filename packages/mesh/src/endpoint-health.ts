/**
 * What this process has learnt about one endpoint from its own calls: how loaded it seems (peak EWMA, as in Finagle and
 * Linkerd) and whether it is kept out for failing. Pure: time and chance come in.
 */
import { jitter, type Random } from "./clock.ts";

/** How an attempt ended: `failure` is the endpoint's or the way's, `refusal` an overloaded server's, `unknown` the caller's doing. */
export type Outcome = "success" | "failure" | "refusal" | "unknown";

export type EjectionPolicy = {
  /** Failures in a row that eject. */
  readonly consecutiveFailures: number;
  /** Least share of successes, 0 to 1, once `minimumCalls` were made within `WINDOW_S`. */
  readonly successRate: number;
  readonly minimumCalls: number;
  /** First time out; the nth in a row lasts n times as long, up to `maxMs`. */
  readonly baseMs: number;
  readonly maxMs: number;
};

export const EJECTION: EjectionPolicy = {
  consecutiveFailures: 5,
  successRate: 0.8,
  minimumCalls: 20,
  baseMs: 5_000,
  maxMs: 300_000,
};

/** Old latencies lose their weight with this time constant. */
const DECAY_MS = 10_000;
/** What an endpoint is taken for before its first answer. */
const FIRST_RTT_MS = 30;
/** Failing fast must not look attractive. */
const FAILURE_RTT_MS = 1_000;
/** What was slow is asked again after this time, though others are faster. */
const UNSEEN_MS = 5_000;
const WINDOW_S = 10;
const JITTER = 0.2;
/** An endpoint that behaved for this many base times begins to count its ejections anew. */
const FORGIVEN_AFTER = 10;

/** `out`: not called until then. `trial`: the time is over, and one call decides. */
export type Standing =
  | { readonly kind: "in" }
  | { readonly kind: "out"; readonly untilMs: number }
  | { readonly kind: "trial"; readonly isRunning: boolean };

export class EndpointHealth {
  /** When this process first saw the endpoint. */
  readonly bornMs: number;
  readonly #random: Random;
  #inFlight = 0;
  #costMs = FIRST_RTT_MS;
  #observedMs: number;
  /** When it last answered, or began to have something to answer. */
  #progressMs: number;
  #failuresInRow = 0;
  #ejections = 0;
  #ejectedMs = Number.NEGATIVE_INFINITY;
  #standing: Standing = { kind: "in" };
  readonly #successes = new Float64Array(WINDOW_S);
  readonly #others = new Float64Array(WINDOW_S);
  #second: number;

  constructor(nowMs: number, random: Random) {
    this.bornMs = nowMs;
    this.#random = random;
    this.#observedMs = nowMs;
    this.#progressMs = nowMs;
    this.#second = Math.floor(nowMs / 1_000);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get ejections(): number {
    return this.#ejections;
  }

  /** Expected cost of one more call in milliseconds; a peer that owes answers and gives none grows dearer as it is silent. */
  load(nowMs: number): number {
    const decayed = this.#costMs * Math.exp((this.#observedMs - nowMs) / DECAY_MS);
    const silentMs = this.#inFlight > 0 ? nowMs - this.#progressMs : 0;
    return Math.max(decayed, silentMs) * (this.#inFlight + 1);
  }

  standing(nowMs: number): Standing {
    if (this.#standing.kind === "out" && nowMs >= this.#standing.untilMs)
      this.#standing = { kind: "trial", isRunning: false };
    return this.#standing;
  }

  /** True when it should be called now to learn how it is: after its time out, or because nobody asked it for a while. */
  wantsCall(nowMs: number): boolean {
    const standing = this.standing(nowMs);
    if (standing.kind === "trial") return !standing.isRunning;
    return standing.kind === "in" && this.#inFlight === 0 && nowMs - this.#observedMs > UNSEEN_MS;
  }

  /** True when it may be called now. */
  isOpen(nowMs: number): boolean {
    const standing = this.standing(nowMs);
    return standing.kind === "in" || (standing.kind === "trial" && !standing.isRunning);
  }

  begin(nowMs: number): void {
    if (this.#inFlight === 0) this.#progressMs = nowMs;
    this.#inFlight += 1;
    if (this.standing(nowMs).kind === "trial") this.#standing = { kind: "trial", isRunning: true };
  }

  /** Returns true when `policy` asks for its ejection; the caller decides whether there are others enough, and calls `eject`. */
  end(outcome: Outcome, tookMs: number, nowMs: number, policy: EjectionPolicy): boolean {
    this.#inFlight -= 1;
    this.#progressMs = nowMs;
    if (outcome === "unknown") return this.#retry();
    this.#observe(outcome === "success" ? tookMs : Math.max(tookMs, FAILURE_RTT_MS), nowMs);
    this.#count(outcome === "success", nowMs);
    this.#failuresInRow = outcome === "failure" ? this.#failuresInRow + 1 : 0;
    if (this.#standing.kind === "trial") return this.#judgeTrial(outcome, tookMs);
    return this.#standing.kind === "in" && this.#isBad(policy);
  }

  eject(nowMs: number, policy: EjectionPolicy): void {
    const forgivenMs = this.#ejectedMs + policy.baseMs * FORGIVEN_AFTER * Math.max(1, this.#ejections);
    this.#ejections = nowMs > forgivenMs ? 1 : this.#ejections + 1;
    this.#ejectedMs = nowMs;
    const forMs = jitter(Math.min(policy.baseMs * this.#ejections, policy.maxMs), JITTER, this.#random);
    this.#standing = { kind: "out", untilMs: nowMs + forMs };
    this.#failuresInRow = 0;
    this.#successes.fill(0);
    this.#others.fill(0);
  }

  /** A trial whose call was cancelled says nothing: the next one decides. */
  #retry(): false {
    if (this.#standing.kind === "trial") this.#standing = { kind: "trial", isRunning: false };
    return false;
  }

  #judgeTrial(outcome: Outcome, tookMs: number): boolean {
    this.#standing = outcome === "failure" ? { kind: "trial", isRunning: false } : { kind: "in" };
    if (outcome === "success") this.#costMs = tookMs;
    return outcome === "failure";
  }

  #isBad(policy: EjectionPolicy): boolean {
    if (this.#failuresInRow >= policy.consecutiveFailures) return true;
    const successes = sum(this.#successes);
    const calls = successes + sum(this.#others);
    return calls >= policy.minimumCalls && successes < policy.successRate * calls;
  }

  #observe(rttMs: number, nowMs: number): void {
    const weight = Math.exp((this.#observedMs - nowMs) / DECAY_MS);
    this.#costMs = rttMs > this.#costMs * weight ? rttMs : this.#costMs * weight + rttMs * (1 - weight);
    this.#observedMs = nowMs;
  }

  #count(isSuccess: boolean, nowMs: number): void {
    const second = Math.floor(nowMs / 1_000);
    for (let at = Math.max(this.#second + 1, second - WINDOW_S + 1); at <= second; at += 1) {
      this.#successes[at % WINDOW_S] = 0;
      this.#others[at % WINDOW_S] = 0;
    }
    this.#second = second;
    const counts = isSuccess ? this.#successes : this.#others;
    counts[second % WINDOW_S] = (counts[second % WINDOW_S] ?? 0) + 1;
  }
}

function sum(numbers: Float64Array): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
