/** Schedules of several experiments on one system: composed from a seed, and kept as a file of experiments. Pure. */
import { seeded } from "@ordermesh/mesh/seeded";
import { parseAllDocuments, stringify } from "yaml";
import { type Action, memberOf } from "./action.ts";
import type { Experiment } from "./backend.ts";
import { API_VERSION, KIND } from "./experiment.ts";
import { ExperimentFileError, readExperiments } from "./experiment-file.ts";

export type Step = {
  readonly experiment: Experiment;
  /** When its fault is injected, from the beginning of the schedule. */
  readonly atSeconds: number;
};

export type Schedule = { readonly seed: number; readonly ratePerSecond: number; readonly steps: readonly Step[] };

const MIN_STEPS = 2;
const MAX_STEPS = 4;
export const MIN_DURATION_SECONDS = 5;
const MAX_DURATION_SECONDS = 15;
const RATES = [5, 10, 20];
const OVERLAP_SHARE = 0.4;
const MIN_GAP_SECONDS = 1;
const MAX_GAP_SECONDS = 5;
const SEED_LABEL = "chaos.ordermesh.dev/fuzz-seed";
const AT_ANNOTATION = "chaos.ordermesh.dev/at-seconds";

/** What each of these needs while it holds, besides its targets: a fault on one must not go on beside a fault on the other. */
const PARTS: Readonly<Partial<Record<Action["type"], readonly string[]>>> = {
  MeshFault: ["etcd"],
  Policy: ["etcd"],
  PolicyDelete: ["etcd"],
  PolicyChurn: ["etcd"],
  Compaction: ["etcd"],
  RevokeLeases: ["etcd"],
  TerminateConnections: ["postgres"],
  PoisonEvent: ["kafka"],
  RewindOffsets: ["kafka"],
  RebalanceStorm: ["kafka"],
  LoadSpike: ["customers"],
  RepeatedKey: ["customers"],
};
const STORES = new Set(["etcd", "kafka", "postgres"]);

export function endOf({ experiment, atSeconds }: Step): number {
  return atSeconds + experiment.spec.durationSeconds;
}

/** Two to four experiments of the catalogue, most of them one after another, some overlapping where that explains itself. */
export function composeSchedule(catalogue: readonly Experiment[], seed: number): Schedule {
  const random = seeded(seed);
  const upTo = (most: number) => Math.floor(random() * (most + 1));
  const count = MIN_STEPS + upTo(MAX_STEPS - MIN_STEPS);
  const ratePerSecond = RATES[upTo(RATES.length - 1)] ?? 10;
  const steps: Step[] = [];
  for (let index = 0; index < count; index += 1) {
    const chosen = catalogue[upTo(catalogue.length - 1)];
    if (chosen === undefined) throw new RangeError("the catalogue is empty");
    const durationSeconds = MIN_DURATION_SECONDS + upTo(MAX_DURATION_SECONDS - MIN_DURATION_SECONDS);
    const experiment = withDuration(chosen, durationSeconds, upTo(1_000_000));
    const last = steps.at(-1);
    const wantsOverlap = random() < OVERLAP_SHARE;
    const afterAll = Math.max(0, ...steps.map(endOf)) + MIN_GAP_SECONDS + upTo(MAX_GAP_SECONDS - MIN_GAP_SECONDS);
    const amid = (last?.atSeconds ?? 0) + upTo(last?.experiment.spec.durationSeconds ?? 0);
    const isSafe = steps.every((step) => endOf(step) <= amid || mayOverlap(step.experiment, experiment));
    steps.push({ experiment, atSeconds: wantsOverlap && isSafe ? amid : afterAll });
  }
  return { seed, ratePerSecond, steps };
}

/** The experiment with a fault that holds for so long, and with as many rounds as fit. */
export function withDuration(experiment: Experiment, durationSeconds: number, seed = experiment.spec.seed): Experiment {
  const { spec } = experiment;
  const slackSeconds = spec.deadlineSeconds - spec.durationSeconds;
  const action = fitRounds(spec.action, durationSeconds);
  return {
    ...experiment,
    spec: { ...spec, action, durationSeconds, deadlineSeconds: durationSeconds + slackSeconds, seed },
  };
}

function fitRounds(action: Action, durationSeconds: number): Action {
  const member = memberOf(action.type);
  const value = memberValue(action) as { readonly times?: number; readonly everySeconds?: number };
  if (value.times === undefined || value.everySeconds === undefined) return action;
  const times = Math.max(1, Math.min(value.times, Math.ceil(durationSeconds / value.everySeconds)));
  return { ...action, [member]: { ...value, times } } as Action;
}

/** False when they touch the same thing, or when one takes away what the other is made or undone with. */
export function mayOverlap(a: Experiment, b: Experiment): boolean {
  const others = placesOf(b);
  return placesOf(a).every((place) => !others.includes(place));
}

function placesOf({ spec: { target, action } }: Experiment): string[] {
  const { peer } = memberValue(action) as { readonly peer?: string };
  const isBetweenServices = peer !== undefined && !STORES.has(peer); // The back ends cut these by fault rules.
  return [
    ...Object.values(target.selector.matchLabels),
    ...(peer === undefined ? [] : [peer]),
    ...(isBetweenServices ? ["etcd"] : []),
    ...(PARTS[action.type] ?? []),
  ];
}

function memberValue(action: Action): unknown {
  return (action as unknown as Readonly<Record<string, unknown>>)[memberOf(action.type)];
}

/** A file that `readSchedule` reads, and whose experiments can be run one by one. `found` says what was wrong. */
export function writeSchedule({ seed, ratePerSecond, steps }: Schedule, found: string): string {
  const documents = steps.map(({ experiment, atSeconds }, index) => ({
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: {
      name: `fuzz-${seed}-${index + 1}`,
      labels: { [SEED_LABEL]: String(seed) },
      annotations: { [AT_ANNOTATION]: String(atSeconds) },
    },
    spec: {
      ...experiment.spec,
      description: `${experiment.name}, from a schedule of seed ${seed}`,
      workload: { ...experiment.spec.workload, ratePerSecond },
    },
  }));
  const comment = found.split("\n").map((line) => `# ${line}\n`);
  return comment.join("") + documents.map((document) => stringify(document)).join("---\n");
}

/** @throws ExperimentFileError */
export function readSchedule(text: string, given: Parameters<typeof readExperiments>[1]): Schedule {
  const experiments = readExperiments(text, given);
  const documents = parseAllDocuments(text);
  if (!Array.isArray(documents)) throw new ExperimentFileError("the file holds no experiment");
  const steps = experiments.map((experiment, index) => {
    const atSeconds = Number(documents[index]?.getIn(["metadata", "annotations", AT_ANNOTATION]) ?? Number.NaN);
    if (!Number.isInteger(atSeconds) || atSeconds < 0)
      throw new ExperimentFileError(
        `${experiment.name}: metadata.annotations: ${AT_ANNOTATION} must be whole seconds, 0 at least`,
      );
    return { experiment, atSeconds };
  });
  const seed = Number(documents[0]?.getIn(["metadata", "labels", SEED_LABEL]) ?? 0);
  return { seed, ratePerSecond: experiments[0]?.spec.workload.ratePerSecond ?? 1, steps };
}
