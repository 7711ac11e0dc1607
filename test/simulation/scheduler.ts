/** One thread of virtual time: what happens next, to which process, is decided here and nowhere else. */
import type { Clock } from "@ordermesh/mesh/clock";
import { EventQueue, type Scheduled } from "./event-queue.ts";

const EPOCH_MS = Date.UTC(2026, 0, 1);

/** One incarnation of a process: dead for ever once it has crashed. */
export class SimulatedProcess {
  readonly name: string;
  isAlive = true;
  /** Until then it stands still, as after SIGSTOP, and does not know it. */
  pausedUntilMs = 0;
  readonly #whenCrashed: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** Calls back at the crash: for what others notice of it. */
  onCrash(notice: () => void): void {
    this.#whenCrashed.push(notice);
  }

  crash(): void {
    this.isAlive = false;
    for (const notice of this.#whenCrashed) notice();
  }
}

export type SchedulerOptions = {
  /** Sees each event of a process before it happens; true means that it does not happen, as the process just died. */
  readonly intercept: (owner: SimulatedProcess) => boolean;
  /** Gets each event's time and name. */
  readonly trace?: ((atMs: number, label: string) => void) | undefined;
};

export class Scheduler {
  readonly #queue = new EventQueue();
  readonly #options: SchedulerOptions;
  #nowMs = 0;
  #steps = 0;
  #hash = 0x811c9dc5;
  #otherHash = 0x2545f491;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events that have happened. */
  get steps(): number {
    return this.#steps;
  }

  /** Names the interleaving: which events happened, in which order. Of 53 bits, so that two hardly ever share a name. */
  get hash(): number {
    return (this.#hash >>> 0) * 2 ** 21 + (this.#otherHash >>> 11);
  }

  /** Makes `run` happen; not if its owner is dead by then, and later if the owner stands still. */
  at(delayMs: number, owner: SimulatedProcess | undefined, label: string, run: () => void): Scheduled {
    return this.#queue.push(this.#nowMs + Math.max(0, delayMs), owner, label, run);
  }

  /** The time of a process. */
  clockOf(owner: SimulatedProcess): Clock {
    return {
      nowMs: () => this.#nowMs,
      wallMs: () => EPOCH_MS + Math.floor(this.#nowMs),
      sleep: (ms, signal) => {
        if (signal?.aborted) return Promise.resolve();
        return new Promise((resolve) => {
          const wake = () => {
            timer.isCancelled = true;
            signal?.removeEventListener("abort", wake);
            resolve();
          };
          const timer = this.at(ms, owner, "timer", wake);
          signal?.addEventListener("abort", wake, { once: true });
        });
      },
    };
  }

  /** Runs events until `isOver`, which is asked after each, or until there are none. */
  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const next = this.#queue.pop();
      if (next === undefined) return;
      const { atMs, event } = next;
      const { owner } = event;
      if (event.isCancelled || owner?.isAlive === false) continue;
      if (owner !== undefined && owner.pausedUntilMs > atMs) {
        this.#queue.postpone(event, owner.pausedUntilMs);
        continue;
      }
      this.#nowMs = atMs;
      if (owner !== undefined && this.#options.intercept(owner)) continue;
      this.#count(event);
      event.run();
      await settled();
    }
  }

  #count({ owner, label }: Scheduled): void {
    this.#steps += 1;
    const name = owner === undefined ? label : `${owner.name} ${label}`;
    for (let index = 0; index < name.length; index += 1) {
      this.#hash = Math.imul(this.#hash ^ name.charCodeAt(index), 0x01000193);
      this.#otherHash = Math.imul(this.#otherHash, 31) + name.charCodeAt(index);
    }
    this.#options.trace?.(this.#nowMs, name);
  }
}

/** Resolves when all promise callbacks have run that follow from what has happened: Node runs ticks after all of them. */
function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
