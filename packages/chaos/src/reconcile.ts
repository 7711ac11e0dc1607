/**
 * The loop of an experiment, level-driven: one visit reads the stored status and the world, does what is due, stores it, and says when
 * to come again. A visit may end anywhere, and any process may make the next one.
 */

import { heal, judgeAll, recover } from "./after.ts";
import type { Experiment } from "./backend.ts";
import { begin, QUEUED, watchBaseline } from "./before.ts";
import { unknownConditions } from "./condition.ts";
import { hold } from "./during.ts";
import type { ExperimentStatus, Phase } from "./status.ts";
import { type Ports, Visit } from "./visit.ts";

export type Outcome = {
  readonly status: ExperimentStatus;
  /** Undefined: it has ended, and nothing of it is left. */
  readonly requeueAfterMs: number | undefined;
};

/** Resolves with how long to wait until the next visit; undefined after the end. */
type Handler = (visit: Visit) => Promise<number | undefined>;

const HANDLERS: Readonly<Record<Phase, Handler>> = {
  Pending: begin,
  Baseline: watchBaseline,
  Injecting: hold,
  Running: hold,
  Healing: heal,
  HealFailed: heal,
  Recovering: recover,
  Judging: judgeAll,
  Completed: async () => undefined,
  Aborted: async () => undefined,
};

/**
 * Everything is stored when this resolves.
 * @throws StaleStatusError when somebody else has stored a status meanwhile: read the experiment again
 */
export async function reconcile(experiment: Experiment, ports: Ports): Promise<Outcome> {
  const status = experiment.status ?? firstStatus(experiment, targetOf(experiment), ports.clock.wallMs());
  const visit = new Visit(experiment, status, ports);
  const requeueAfterMs = await HANDLERS[status.phase](visit);
  return { status: visit.status, requeueAfterMs };
}

/** What is stored of one that has to wait for another: it was seen in time, however long that takes. */
export function queuedStatus(experiment: Experiment, nowMs: number, behind: string): ExperimentStatus {
  const startTime = new Date(nowMs).toISOString();
  return {
    ...firstStatus(experiment, targetOf(experiment), nowMs),
    reason: QUEUED,
    message: `waits for ${behind} to end`,
    startTime,
  };
}

function targetOf({ spec }: Experiment): string {
  return Object.values(spec.target.selector.matchLabels).join(",");
}

/** Before anything is known. Pure. */
export function firstStatus(
  { generation }: Pick<Experiment, "generation">,
  target: string,
  nowMs: number,
): ExperimentStatus {
  return {
    observedGeneration: generation,
    phase: "Pending",
    verdict: "",
    reason: "",
    message: "",
    target,
    targets: [],
    checks: [],
    stopConditions: [],
    invariants: [],
    accepted: { before: 0, during: 0, after: 0 },
    conditions: unknownConditions(generation, nowMs),
  };
}
