/** The resource: what a user writes. The one schema from which the CRD comes and by which a file is checked. Pure. */
import { z } from "zod";
import { ACTION_TYPES, ACTIONS, type Action, type ActionOf, memberOf } from "./action.ts";
import { ORDER_MIXES } from "./order-mix.ts";
import { MAX_TARGETS } from "./status-schema.ts";

export const API_VERSION = "chaos.ordermesh.dev/v1alpha1";
export const KIND = "ChaosExperiment";

export const INVARIANTS = [
  "NoOrderLost",
  "NoDoubleCharge",
  "ExactlyOneShippingNotification",
  "SagaTerminal",
  "MoneyConserved",
  "StockConserved",
  "IdempotentReplies",
  "OutboxDrained",
  "OrderPerAggregate",
  "ConfigConverged",
  "RegistryTruth",
  "ReadYourOrder",
] as const;
export const PHASES_OF_LOAD = ["Before", "During", "After"] as const;
/** Of the customers' own record: share of answered orders in thousandths, milliseconds, orders a second in thousandths. */
export const WORKLOAD_MEASURES = ["SuccessMilli", "P99Milliseconds", "AcceptedPerSecondMilli"] as const;

const seconds = (min: number, max: number) => z.int().min(min).max(max);
const name = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "must be a lower-case name")
  .max(63);
/** As Kubernetes has them; what is longer or stranger could not label anything. */
const LABEL_KEY = "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
const labelValue = z.string().regex(/^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/, "must be a label's value");
const MAX_LABELS = 16;
const thresholdMilli = z.int().min(-1_000_000_000_000).max(1_000_000_000_000);
const OPERATORS = ["GreaterOrEqual", "LessOrEqual", "Less", "Greater"] as const;

const measure = {
  workload: z.enum(WORKLOAD_MEASURES).optional().describe("A measure of the customers' own record"),
  prometheus: z
    .strictObject({ query: z.string().min(1).max(2_048) })
    .optional()
    .describe("A PromQL expression with one value; no data is an error, never a pass"),
  op: z.enum(OPERATORS).default("GreaterOrEqual"),
  thresholdMilli: thresholdMilli.describe("Value to compare with, in thousandths"),
};

const check = z.strictObject({
  name,
  ...measure,
  phases: z
    .array(z.enum(PHASES_OF_LOAD))
    .min(1)
    .max(3)
    .default([...PHASES_OF_LOAD]),
  during: z
    .strictObject({ thresholdMilli, toleratedConsecutiveFailures: z.int().min(0).max(1_000).default(0) })
    .optional()
    .describe("What is asked while the fault is there, if it is less"),
  intervalSeconds: seconds(1, 60).default(5),
});

const stopCondition = z.strictObject({ name, ...measure, consecutive: z.int().min(1).max(100).default(3) });

const target = z.strictObject({
  selector: z.strictObject({
    matchLabels: z.record(z.string(), labelValue.max(63)).meta({ maxProperties: MAX_LABELS }),
  }),
  maxTargets: z.int().min(1).max(50).describe("At most so many; the smaller bound wins"),
  maxPercent: z.int().min(1).max(100).describe("Of the ready ones that match"),
  minHealthyRemaining: z.int().min(0).max(50).default(1).describe("So many ready ones are always left alone"),
});

const action = z.strictObject({
  type: z.enum(ACTION_TYPES),
  ...Object.fromEntries(ACTION_TYPES.map((type) => [memberOf(type), ACTIONS[type].optional()])),
});

export const experimentSpec = z.strictObject({
  description: z.string().max(1_024).default(""),
  target,
  action,
  baselineSeconds: seconds(5, 600).default(15),
  durationSeconds: seconds(5, 1_800),
  recoverySeconds: seconds(5, 1_800).default(60),
  deadlineSeconds: seconds(20, 7_200),
  workload: z
    .strictObject({
      ratePerSecond: z.int().min(1).max(1_000).default(20),
      minAccepted: z.int().min(0).max(1_000_000).default(50).describe("Orders that must be accepted in each phase"),
      orders: z
        .enum(ORDER_MIXES)
        .default("Mixed")
        .describe(
          "Mixed: some are declined or have a silent provider; Plain: all should be confirmed; Slow: in 300 ms",
        ),
    })
    .prefault({}),
  steadyState: z.array(check).max(16).default([]),
  invariants: z
    .array(z.enum(INVARIANTS))
    .min(1)
    .max(INVARIANTS.length)
    .default([...INVARIANTS]),
  stopConditions: z.array(stopCondition).max(8).default([]),
  abort: z.boolean().default(false).describe("Set once, it ends the experiment; nothing else can be changed"),
  startDeadlineSeconds: seconds(10, 86_400).default(120).describe("One that is found later than this is not begun"),
  ttlSecondsAfterFinished: z.int().min(0).max(31_536_000).optional(),
  dryRun: z.boolean().default(false).describe("Says what it would do, and does nothing"),
  seed: z.int().min(0).max(2_147_483_647).default(1).describe("Decides targets, orders and pauses"),
});

type Parsed = z.infer<typeof experimentSpec>;
export type Measure = Pick<Parsed["stopConditions"][number], "workload" | "prometheus" | "op" | "thresholdMilli">;
export type Check = Parsed["steadyState"][number];
export type ExperimentSpec = Omit<Parsed, "action"> & { readonly action: Action };

/** A rule that spans fields: the same in TypeScript for files and in CEL for the API server. */
export type Rule = {
  /** Of the field to blame, from the spec down, with dots. */
  readonly field: string;
  readonly message: string;
  readonly cel: string;
  readonly holds: (spec: Parsed) => boolean;
};

const memberNames = ACTION_TYPES.map(memberOf);
const membersIn = ({ action: all }: Parsed): Readonly<Record<string, unknown>> => all;
const membersOf = (spec: Parsed) => memberNames.filter((member) => membersIn(spec)[member] !== undefined);

export const RULES: readonly Rule[] = [
  {
    field: "deadlineSeconds",
    message: "must be at least baselineSeconds + durationSeconds + recoverySeconds",
    cel: "self.deadlineSeconds >= self.baselineSeconds + self.durationSeconds + self.recoverySeconds",
    holds: (spec) => spec.deadlineSeconds >= spec.baselineSeconds + spec.durationSeconds + spec.recoverySeconds,
  },
  {
    field: "target.selector.matchLabels",
    message: "must name at least one label: nothing is never everything",
    cel: "size(self.target.selector.matchLabels) > 0",
    holds: (spec) => Object.keys(spec.target.selector.matchLabels).length > 0,
  },
  {
    field: "target.selector.matchLabels",
    message: `must have at most ${MAX_LABELS} labels with Kubernetes' names`,
    cel: `self.target.selector.matchLabels.all(key, key.matches('${LABEL_KEY}'))`,
    holds: ({ target: { selector } }) => {
      const keys = Object.keys(selector.matchLabels);
      return keys.length <= MAX_LABELS && keys.every((key) => new RegExp(LABEL_KEY).test(key));
    },
  },
  {
    field: "action",
    message: "must have the member that its type names, and no other",
    cel: ACTION_TYPES.map((type) => `(self.action.type == '${type}') == has(self.action.${memberOf(type)})`).join(
      " && ",
    ),
    holds: (spec) => membersOf(spec).join() === memberOf(spec.action.type),
  },
  {
    field: "action.meshFault",
    message: "needs delayMs or abort",
    cel: "!has(self.action.meshFault) || has(self.action.meshFault.delayMs) || has(self.action.meshFault.abort)",
    holds: (spec) => {
      const fault = membersIn(spec).meshFault as ActionOf<"MeshFault"> | undefined;
      return fault === undefined || fault.delayMs !== undefined || fault.abort !== undefined;
    },
  },
  ...(["podKill", "terminateConnections", "revokeLeases", "rebalanceStorm", "renewCertificates"] as const).flatMap(
    (member): Rule[] => {
      const roundsOf = (spec: Parsed) => membersIn(spec)[member] as { times: number; everySeconds: number } | undefined;
      return [
        {
          field: `action.${member}`,
          message: "has more rounds than fit into durationSeconds",
          cel: `!has(self.action.${member}) || (self.action.${member}.times - 1) * self.action.${member}.everySeconds < self.durationSeconds`,
          holds: (spec) => {
            const rounds = roundsOf(spec);
            return rounds === undefined || (rounds.times - 1) * rounds.everySeconds < spec.durationSeconds;
          },
        },
        {
          field: `action.${member}`,
          message: `has more rounds with maxTargets than the ${MAX_TARGETS} targets that a status holds`,
          cel: `!has(self.action.${member}) || self.action.${member}.times * self.target.maxTargets <= ${MAX_TARGETS}`,
          holds: (spec) => (roundsOf(spec)?.times ?? 1) * spec.target.maxTargets <= MAX_TARGETS,
        },
      ];
    },
  ),
  ...(["steadyState", "stopConditions"] as const).flatMap((list): Rule[] => [
    {
      field: list,
      message: "must measure one thing each: workload or prometheus",
      cel: `self.${list}.all(c, has(c.workload) != has(c.prometheus))`,
      holds: (spec) => spec[list].every((one) => (one.workload === undefined) !== (one.prometheus === undefined)),
    },
    {
      field: list,
      message: "must have different names",
      cel: `self.${list}.all(c, self.${list}.exists_one(d, d.name == c.name))`,
      holds: (spec) => new Set(spec[list].map((one) => one.name)).size === spec[list].length,
    },
  ]),
];

export type Violation = { readonly field: string; readonly message: string };

/** The spec with its defaults, or everything that is wrong with it. */
export function checkSpec(
  spec: unknown,
): { readonly spec: ExperimentSpec } | { readonly violations: readonly Violation[] } {
  const parsed = experimentSpec.safeParse(spec);
  if (!parsed.success) {
    const violations = parsed.error.issues.map(({ path, message }) => ({ field: path.map(String).join("."), message }));
    return { violations };
  }
  const broken = RULES.filter(({ holds }) => !holds(parsed.data)).map(({ field, message }) => ({ field, message }));
  return broken.length > 0 ? { violations: broken } : { spec: parsed.data as unknown as ExperimentSpec };
}
