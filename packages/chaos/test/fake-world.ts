/** A place for experiments in memory, with a clock that only the test moves; the loop can be made to die at any of its steps. */

import type { Finding } from "@ordermesh/judge/finding";
import type { Operation } from "@ordermesh/judge/history";
import type { Backend, Candidate, Experiment, Judge, Queries, Reports, Second, Workload } from "../src/backend.ts";
import { StaleStatusError } from "../src/backend.ts";
import { checkSpec, type ExperimentSpec, INVARIANTS } from "../src/experiment.ts";
import { MemoryStore } from "../src/memory-store.ts";
import type { OrderMix } from "../src/order-mix.ts";
import { reconcile } from "../src/reconcile.ts";
import type { Report } from "../src/report.ts";
import type { ExperimentStatus, TargetStatus } from "../src/status.ts";
import type { Ports } from "../src/visit.ts";

const START_MS = Date.UTC(2026, 0, 1);
const MAX_VISITS = 2_000;

const SPEC_TEXT = {
  target: { selector: { matchLabels: { component: "payment" } }, maxTargets: 1, maxPercent: 50 },
  action: { type: "PodKill", podKill: { everySeconds: 5, times: 3 } },
  baselineSeconds: 10,
  durationSeconds: 20,
  recoverySeconds: 30,
  deadlineSeconds: 120,
};

/** A valid spec with `change` on top. */
export function specOf(change: Readonly<Record<string, unknown>> = {}): ExperimentSpec {
  const checked = checkSpec({ ...SPEC_TEXT, ...change });
  if ("violations" in checked) throw new Error(JSON.stringify(checked.violations));
  return checked.spec;
}

export type Knobs = {
  spec: ExperimentSpec;
  /** What the customers meet at a time, in milliseconds since the experiment was made. */
  second: (atMs: number) => Partial<Omit<Second, "atMs">> | undefined;
  metric: (atMs: number) => number | undefined;
  whyNot: string | undefined;
  whyNotNow: (atMs: number) => string | undefined;
  candidates: (all: readonly Candidate[]) => readonly Candidate[];
  /** Of what was injected: how much of it can be seen. */
  seenShare: number;
  /** How long after the first attempt to heal it is really gone. */
  healMs: number;
  injectError: string | undefined;
  open: (atMs: number) => readonly string[];
  violated: readonly string[];
  findings: readonly string[];
  hasHistory: boolean;
  reportError: string | undefined;
  ageMs: number;
  /** Sets `spec.abort` or deletes the experiment at that time. */
  abortAtMs: number;
  deleteAtMs: number;
  /** The loop dies before the so-manieth call of a port takes effect (even numbers: right after it). */
  dieAtStep: number;
  /** Until the next visit. */
  deadMs: number;
};

const KNOBS: Knobs = {
  spec: specOf(),
  second: () => ({}),
  metric: () => 1,
  whyNot: undefined,
  whyNotNow: () => undefined,
  candidates: (all) => all,
  seenShare: 1,
  healMs: 0,
  injectError: undefined,
  open: () => [],
  violated: [],
  findings: INVARIANTS,
  hasHistory: true,
  reportError: undefined,
  ageMs: 0,
  abortAtMs: Number.POSITIVE_INFINITY,
  deleteAtMs: Number.POSITIVE_INFINITY,
  dieAtStep: 0,
  deadMs: 3_000,
};

export class FakeWorld {
  /** Every act that had an effect, as `uid#round`: exactly once each, whatever dies. */
  readonly injected: string[] = [];
  /** What holds now. */
  readonly active = new Set<string>();
  readonly phases: string[] = [];
  readonly memory: MemoryStore;
  /** What was kept last. */
  report: Report | undefined;
  steps = 0;
  firstHealAtMs: number | undefined;
  rate = 0;
  orders: OrderMix | undefined;
  readonly #knobs: Knobs;
  readonly #generations = new Map([1, 2, 3].map((index) => [`payment-${index}`, 1]));
  readonly #ports: Omit<Ports, "store">;
  #nowMs = START_MS;
  #die: () => void = () => undefined;

  constructor(knobs: Partial<Knobs> = {}) {
    this.#knobs = { ...KNOBS, ...knobs };
    this.memory = new MemoryStore(({ phase }) => {
      if (this.phases.at(-1) !== phase) this.phases.push(phase);
    });
    this.#ports = {
      backend: this.#mortal(this.#backend()),
      workload: this.#mortal(this.#workload()),
      judge: this.#mortal(this.#judge()),
      queries: this.#mortal<Queries>({ value: async () => this.#knobs.metric(this.atMs) }),
      reports: this.#mortal<Reports>({ keep: async (report) => this.#keep(report) }),
      clock: { wallMs: () => this.#nowMs },
    };
  }

  get atMs(): number {
    return this.#nowMs - START_MS;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }

  /** Visits until the experiment has ended. */
  async run(): Promise<ExperimentStatus> {
    for (let visits = 0; visits < MAX_VISITS; visits += 1) {
      const waitMs = await this.visit();
      if (waitMs === undefined && this.memory.status !== undefined) return this.memory.status;
      this.advance(waitMs ?? 0);
    }
    throw new Error(`no end after ${MAX_VISITS} visits: ${JSON.stringify(this.memory.status)}`);
  }

  /** One visit of a loop; it may die in it, or find that another one was faster. Resolves with the wait it asks for. */
  async visit(): Promise<number | undefined> {
    const dead = new Promise<number>((resolve) => {
      this.#die = () => resolve(this.#knobs.deadMs);
    });
    const store = this.#mortal(this.memory.visit());
    const going = reconcile(this.experiment, { ...this.#ports, store }).then(
      ({ requeueAfterMs }) => requeueAfterMs,
      (error: unknown) => {
        if (error instanceof StaleStatusError) return 0;
        throw error;
      },
    );
    return await Promise.race([dead, going]);
  }

  get experiment(): Experiment {
    const { spec, ageMs, abortAtMs, deleteAtMs } = this.#knobs;
    return {
      name: "kill-payment",
      namespace: "shop",
      uid: "uid-1",
      generation: 1,
      createdAtMs: START_MS - ageMs,
      isBeingDeleted: this.atMs >= deleteAtMs,
      spec: this.atMs >= abortAtMs ? { ...spec, abort: true } : spec,
      status: this.memory.status,
    };
  }

  /** The port whose every call is two steps: before and after its effect. Nothing that follows a death is done. */
  #mortal<T extends object>(port: T): T {
    const step = async () => {
      this.steps += 1;
      await undefined;
      if (this.steps !== this.#knobs.dieAtStep) return;
      this.#die();
      await new Promise(() => undefined);
    };
    const wrapped = Object.entries(port).map(([name, member]) => {
      const isAsync = typeof member === "function" && !["whyNot", "planUndo", "forget"].includes(name);
      if (!isAsync) return [name, member];
      const call = async (...args: unknown[]) => {
        await step();
        const result = await member(...args);
        await step();
        return result;
      };
      return [name, call];
    });
    return Object.fromEntries(wrapped) as T;
  }

  #backend(): Backend {
    const keyOf = ({ uid, round }: TargetStatus) => `${uid}#${round}`;
    return {
      name: "process",
      whyNot: () => this.#knobs.whyNot,
      find: async () => this.#knobs.candidates(this.#pods()),
      whyNotNow: async () => this.#knobs.whyNotNow(this.atMs),
      planUndo: () => "none",
      inject: async (target, { spec }) => this.#inject(target, spec),
      heal: async (target) => {
        this.firstHealAtMs ??= this.atMs;
        if (this.atMs - this.firstHealAtMs >= this.#knobs.healMs) this.active.delete(keyOf(target));
      },
      isHealed: async (target) => !this.active.has(keyOf(target)),
      sweep: async () => {
        const found = this.active.size;
        this.active.clear();
        return found;
      },
      watchFault: async () => undefined,
      evidence: async (targets) => {
        const expected = targets.filter(({ state }) => state !== "Planned").length;
        const observed = Math.floor(new Set(this.injected).size * this.#knobs.seenShare);
        return { expected, observed, detail: `${observed} were seen` };
      },
      forget: () => undefined,
    };
  }

  #keep(report: Report) {
    if (this.#knobs.reportError !== undefined) throw new Error(this.#knobs.reportError);
    this.report = report;
    return { kind: "File", name: `${report.experiment.name}.json` } as const;
  }

  #inject(target: TargetStatus, { action }: ExperimentSpec): void {
    if (this.#knobs.injectError !== undefined) throw new Error(this.#knobs.injectError);
    const key = `${target.uid}#${target.round}`;
    if (action.type === "PodKill") {
      const generation = this.#generations.get(target.name) ?? 0;
      if (target.uid !== `${target.name}-${generation}`) return; // Its uid is gone: it was killed before.
      this.#generations.set(target.name, generation + 1);
      this.injected.push(key);
    } else if (!this.active.has(key)) {
      this.active.add(key);
      this.injected.push(key);
    }
  }

  #pods(): Candidate[] {
    const common = { kind: "Pod", node: "", isReady: true, isProtected: false };
    return [...this.#generations].map(([name, generation]) => ({ ...common, name, uid: `${name}-${generation}` }));
  }

  #workload(): Workload {
    return {
      start: async ({ ratePerSecond, orders }) => {
        this.rate = ratePerSecond;
        this.orders = orders;
      },
      seconds: async (_name, { fromMs, toMs }) => this.#seconds(fromMs - START_MS, toMs - START_MS),
      setRate: async (_name, ratePerSecond) => {
        this.rate = ratePerSecond;
      },
      repeat: async (_name, requests) => requests,
      finish: async () => undefined,
      history: async () => (this.#knobs.hasHistory ? ([] as Operation[]) : undefined),
    };
  }

  #seconds(fromMs: number, toMs: number): Second[] | undefined {
    const count = Math.max(0, Math.floor((toMs - fromMs) / 1_000));
    const seconds = Array.from({ length: count }, (_, index) => {
      const atMs = fromMs + index * 1_000;
      const second = this.#knobs.second(atMs);
      const accepted = second?.accepted ?? this.rate;
      const common = {
        atMs: START_MS + atMs,
        begun: this.rate,
        failed: 0,
        p99Ms: 50,
        latencies: [[50, accepted]] as const,
      };
      return second && { ...common, accepted, ...second };
    });
    const known = seconds.filter((second) => second !== undefined);
    return known.length < seconds.length ? undefined : known;
  }

  #judge(): Judge {
    return {
      open: async () => this.#knobs.open(this.atMs),
      judge: async () => {
        const { findings, violated } = this.#knobs;
        return findings.map((name): Finding => {
          const violations = violated.includes(name) ? 1 : 0;
          const examples = violations === 0 ? [] : ["order A"];
          return { id: "I1", name, held: violations === 0 ? "True" : "False", examined: 9, violations, examples };
        });
      },
    };
  }
}
