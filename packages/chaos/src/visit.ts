/** One visit of the loop at an experiment: what it has, and how it stores what it decides. */
import type { Clock } from "@ordermesh/mesh/clock";
import {
  type Backend,
  EXPIRES_AFTER_MS,
  type Experiment,
  type InjectContext,
  type Interval,
  type Judge,
  type Queries,
  type Reports,
  type Store,
  type Workload,
} from "./backend.ts";
import { withCondition } from "./condition.ts";
import type { ExperimentSpec, Measure } from "./experiment.ts";
import { measureMilli } from "./measure.ts";
import type { Condition, ExperimentStatus, Phase, TargetStatus } from "./status.ts";

export type Ports = {
  readonly backend: Backend;
  readonly workload: Workload;
  readonly judge: Judge;
  readonly queries: Queries;
  readonly store: Store;
  /** Without it there is no report. */
  readonly reports?: Reports;
  /** Times of a status outlive the process that wrote them, so that they are wall-clock times. */
  readonly clock: Pick<Clock, "wallMs">;
};

export class Visit {
  readonly experiment: Experiment;
  readonly ports: Ports;
  #status: ExperimentStatus;

  constructor(experiment: Experiment, status: ExperimentStatus, ports: Ports) {
    this.experiment = experiment;
    this.#status = status;
    this.ports = ports;
  }

  get status(): ExperimentStatus {
    return this.#status;
  }

  get spec(): ExperimentSpec {
    return this.experiment.spec;
  }

  get nowMs(): number {
    return this.ports.clock.wallMs();
  }

  get now(): string {
    return new Date(this.nowMs).toISOString();
  }

  /** The customers' run of this experiment. */
  get run(): string {
    return this.experiment.uid;
  }

  get context(): InjectContext {
    const { name, namespace, uid } = this.experiment;
    const startMs = this.msOf("injectStartTime");
    const expiresAtMs = startMs + this.spec.durationSeconds * 1_000 + EXPIRES_AFTER_MS;
    return { experiment: { name, namespace, uid }, spec: this.spec, expiresAtMs };
  }

  /** @throws RangeError when the phase that sets it was not reached */
  msOf(time: "startTime" | "injectStartTime" | "healStartTime" | "healedTime" | "judgeStartTime"): number {
    const text = this.#status[time];
    if (text === undefined) throw new RangeError(`${time} is not known yet`);
    return Date.parse(text);
  }

  /** Stores nothing when nothing changed. @throws StaleStatusError */
  async save(change: Partial<ExperimentStatus>): Promise<void> {
    const next = { ...this.#status, ...change };
    if (JSON.stringify(next) === JSON.stringify(this.#status)) return;
    await this.ports.store.save(next);
    this.#status = next;
  }

  /** The conditions with one of them changed, for `save`. */
  conditions(...changes: (Pick<Condition, "type" | "status" | "reason"> & { readonly message?: string })[]) {
    const status = changes.reduce((all, change) => withCondition(all, change, this.nowMs), this.#status);
    return { conditions: status.conditions };
  }

  /** The targets with one of them changed, for `save`. */
  targets(changed: TargetStatus, change: Partial<TargetStatus>): { readonly targets: readonly TargetStatus[] } {
    const targets = this.#status.targets.map((target) =>
      target.uid === changed.uid && target.round === changed.round ? { ...target, ...change } : target,
    );
    return { targets };
  }

  isIn(...phases: readonly Phase[]): boolean {
    return phases.includes(this.#status.phase);
  }

  /** Undefined: no data, for whatever reason. In thousandths. */
  async valueOf(measure: Measure, windowMs: number): Promise<number | undefined> {
    try {
      if (measure.workload === undefined) {
        const value = await this.ports.queries.value(measure);
        return value === undefined ? undefined : value * 1_000;
      }
      const toMs = this.nowMs;
      const seconds = await this.ports.workload.seconds(this.run, { fromMs: toMs - windowMs, toMs });
      return seconds === undefined ? undefined : measureMilli(measure.workload, seconds);
    } catch {
      return undefined;
    }
  }

  /** Orders that were accepted then; none when the record cannot be had. */
  async accepted(interval: Interval): Promise<number> {
    const seconds = await this.ports.workload.seconds(this.run, interval).catch(() => undefined);
    return (seconds ?? []).reduce((sum, { accepted }) => sum + accepted, 0);
  }
}
