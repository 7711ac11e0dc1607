/** The faults of a run. Each run draws which kinds it has, so that rare combinations are not drowned by frequent ones. */
import type { Chance } from "./chance.ts";
import type { MemoryKafka } from "./memory-kafka.ts";
import type { Odds } from "./network.ts";
import type { Scheduler, SimulatedProcess } from "./scheduler.ts";

/** Events of processes within which crashes and pauses are drawn; about as many as a run has. */
const CRASH_WITHIN = 500;
const MAX_CRASHES = 4;
const MAX_PAUSES = 3;
/** Longer than any lease but the claim on a message. */
const MAX_PAUSE_MS = 7_000;
const MAX_DOWN_MS = 1_500;

export type FaultPlan = {
  readonly odds: Odds;
  /** When the faults end, in virtual time. */
  readonly endMs: number;
  /** Numbers of the processes' events at which the process dies instead, or stands still before. */
  readonly crashAt: ReadonlySet<number>;
  readonly pauseAt: ReadonlySet<number>;
  readonly rebalances: number;
  readonly rewinds: number;
};

export function planFaults(chance: Chance): FaultPlan {
  const maybe = (probability: number) => (chance.is(0.5) ? chance.between(0, probability) : 0);
  const numbers = (most: number) =>
    new Set(Array.from({ length: chance.is(0.6) ? chance.whole(1, most) : 0 }, () => chance.whole(0, CRASH_WITHIN)));
  return {
    odds: {
      slow: maybe(0.1),
      slowMs: chance.pick([50, 500, 3_000, 7_000]),
      databaseLost: maybe(0.05),
      callLost: maybe(0.2),
      callRepeated: maybe(0.3),
      kafkaLost: maybe(0.3),
      notificationLost: maybe(0.5),
      slowCommit: maybe(0.5),
    },
    endMs: chance.between(2_500, 7_000),
    crashAt: numbers(MAX_CRASHES),
    pauseAt: numbers(MAX_PAUSES),
    rebalances: chance.is(0.4) ? chance.whole(1, 5) : 0,
    rewinds: chance.is(0.2) ? chance.whole(1, 2) : 0,
  };
}

export class Faults {
  crashes = 0;
  readonly #plan: FaultPlan;
  readonly #chance: Chance;
  #events = 0;
  #isOver = false;
  #pause: (owner: SimulatedProcess) => void = () => undefined;

  constructor(plan: FaultPlan, chance: Chance) {
    this.#plan = plan;
    this.#chance = chance;
  }

  begin(scheduler: Scheduler, kafka: MemoryKafka): void {
    const { rebalances, rewinds, endMs } = this.#plan;
    this.#pause = (owner) => {
      owner.pausedUntilMs = scheduler.nowMs + this.#chance.between(0, MAX_PAUSE_MS);
    };
    const anyTime = () => this.#chance.between(0, endMs);
    for (let count = 0; count < rebalances; count += 1)
      scheduler.at(anyTime(), undefined, "rebalance", () => kafka.rebalance());
    for (let count = 0; count < rewinds; count += 1) scheduler.at(anyTime(), undefined, "rewind", () => kafka.rewind());
  }

  /** Has `restart` called some time after the process has died. */
  watch(process: SimulatedProcess, scheduler: Scheduler, restart: () => void): void {
    process.onCrash(() => {
      const downMs = this.#isOver ? 0 : this.#chance.between(0, MAX_DOWN_MS);
      scheduler.at(downMs, undefined, `${process.name} restarts`, restart);
    });
  }

  /** True when the process dies instead of seeing its next event. */
  intercept(owner: SimulatedProcess): boolean {
    if (this.#isOver || owner.name === "storefront") return false;
    const number = this.#events++;
    if (this.#plan.pauseAt.has(number)) this.#pause(owner);
    if (!this.#plan.crashAt.has(number)) return false;
    this.crashes += 1;
    owner.crash();
    return true;
  }

  end(): void {
    this.#isOver = true;
  }
}
