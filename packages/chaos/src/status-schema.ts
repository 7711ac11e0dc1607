/** The status as the API server must know it: a field that is missing here would be dropped there without a word. Pure. */
import { z } from "zod";
import { CONDITION_TYPES, type ExperimentStatus } from "./status.ts";

/** Of all rounds together: a status stays small. */
export const MAX_TARGETS = 100;
/** What is still on its way, at most. */
export const MAX_OPEN = 8;

const word = z.string().max(128);
const sentence = z.string().max(1_024);
const time = z.iso.datetime().max(40);
const count = z.int().min(0);
const milli = z.int().nullable();

const condition = z.object({
  type: z.enum(CONDITION_TYPES),
  status: z.enum(["True", "False", "Unknown"]),
  reason: word,
  message: sentence,
  lastTransitionTime: time,
  observedGeneration: count,
});

const target = z.object({
  kind: word,
  name: z.string().max(253),
  uid: word,
  node: z.string().max(253),
  round: count,
  state: z.enum(["Planned", "Injected", "Healed"]),
  injectedAt: time.optional(),
  healedAt: time.optional(),
  undo: z.string().max(4_096),
});

const check = z.object({
  name: word,
  phase: z.enum(["Before", "During", "After"]),
  lastMilli: milli,
  worstMilli: milli,
  samples: count,
  failures: count,
  consecutiveFailures: count,
  mostConsecutiveFailures: count,
  errors: count,
  consecutiveErrors: count,
  lastAt: time.nullable(),
  lastFailedAt: time.nullable(),
});

const invariant = z.object({
  name: word,
  held: z.enum(["True", "False", "Unknown"]),
  examined: count,
  violations: count,
  examples: z.array(sentence).max(5),
});

export const experimentStatus = z.object({
  observedGeneration: count,
  phase: z.enum([
    "Pending",
    "Baseline",
    "Injecting",
    "Running",
    "Healing",
    "HealFailed",
    "Recovering",
    "Judging",
    "Completed",
    "Aborted",
  ]),
  verdict: z.enum(["", "Passed", "Failed", "Inconclusive"]),
  reason: word,
  message: sentence,
  target: z.string().max(256),
  startTime: time.optional(),
  injectStartTime: time.optional(),
  healStartTime: time.optional(),
  healedTime: time.optional(),
  judgeStartTime: time.optional(),
  completionTime: time.optional(),
  stop: z
    .object({
      reason: z.enum(["Abort", "SafetyLever", "StopCondition", "Deadline", "Deleted", "LostSight"]),
      message: sentence,
    })
    .optional(),
  targets: z.array(target).max(MAX_TARGETS),
  faultEvidence: z.object({ expected: count, observed: count, detail: sentence }).optional(),
  checks: z.array(check).max(48),
  stopConditions: z.array(check).max(8),
  invariants: z.array(invariant).max(16),
  accepted: z.object({ before: count, during: count, after: count }),
  drain: z.object({ open: z.array(sentence).max(MAX_OPEN), sinceTime: time }).optional(),
  timeToRecoverSeconds: z.number().min(0).optional(),
  reportRef: z.object({ kind: z.enum(["ConfigMap", "File"]), name: z.string().max(253) }).optional(),
  conditions: z.array(condition).max(16),
});

type Plain<T> = T extends readonly (infer E)[]
  ? readonly Plain<E>[]
  : T extends object
    ? { readonly [K in keyof T]-?: Plain<Exclude<T[K], undefined>> }
    : T;
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Does not compile when the schema and the type have different fields. */
export const IS_COMPLETE: Same<Plain<z.infer<typeof experimentStatus>>, Plain<ExperimentStatus>> = true;
