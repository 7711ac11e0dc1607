/** What can go wrong between processes and the parts that they use, and how often in this run. */
import type { Chance } from "./chance.ts";

/** Probabilities of one thing happening once. All are 0 after the faults have ended. */
export type Odds = {
  /** A message takes up to `slowMs` instead of a few milliseconds. */
  readonly slow: number;
  readonly slowMs: number;
  readonly databaseLost: number;
  readonly callLost: number;
  readonly callRepeated: number;
  readonly kafkaLost: number;
  readonly notificationLost: number;
  /** A commit takes a while, during which locks are held. */
  readonly slowCommit: number;
};

export const NO_FAULTS: Odds = {
  slow: 0,
  slowMs: 0,
  databaseLost: 0,
  callLost: 0,
  callRepeated: 0,
  kafkaLost: 0,
  notificationLost: 0,
  slowCommit: 0,
};

/** `reply-lost`: it had its effect, and nobody who asked will know. */
export type Fate = "delivered" | "request-lost" | "reply-lost";

const USUAL_MS = 4;

export class Network {
  odds: Odds;
  readonly #chance: Chance;

  constructor(chance: Chance, odds: Odds) {
    this.#chance = chance;
    this.odds = odds;
  }

  /** How long a message is on its way. */
  delayMs(): number {
    const { slow, slowMs } = this.odds;
    return this.#chance.is(slow) ? this.#chance.between(0, slowMs) : this.shortMs();
  }

  shortMs(): number {
    return this.#chance.between(0, USUAL_MS);
  }

  commitMs(): number {
    return this.#chance.is(this.odds.slowCommit) ? this.#chance.between(0, 10 * USUAL_MS) : 0;
  }

  databaseFate(): Fate {
    return this.#fate(this.odds.databaseLost);
  }

  callFate(): Fate {
    return this.#fate(this.odds.callLost);
  }

  kafkaFate(): Fate {
    return this.#fate(this.odds.kafkaLost);
  }

  isCallRepeated(): boolean {
    return this.#chance.is(this.odds.callRepeated);
  }

  isNotificationLost(): boolean {
    return this.#chance.is(this.odds.notificationLost);
  }

  #fate(probability: number): Fate {
    if (!this.#chance.is(probability)) return "delivered";
    return this.#chance.is(0.5) ? "request-lost" : "reply-lost";
  }
}
