/** Experiments that nobody may run: one table for the two checkers, files by zod and the API server by the CRD. */
import { API_VERSION, KIND } from "@ordermesh/chaos/experiment";

// biome-ignore lint/suspicious/noExplicitAny: a document that is about to be made wrong has no type.
type Document = any;

export function goodDocument(name = "good"): Document {
  return {
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { name },
    spec: {
      target: {
        selector: { matchLabels: { "app.kubernetes.io/component": "payment" } },
        maxTargets: 1,
        maxPercent: 50,
      },
      action: { type: "PodKill", podKill: { times: 3, everySeconds: 5 } },
      durationSeconds: 15,
      deadlineSeconds: 120,
    },
  };
}

export type BadDocument = {
  readonly what: string;
  readonly change: (document: Document) => void;
  /** Both checkers must say it: the field to blame, from `spec` down. */
  readonly blames: string;
};

const check = (more: object = {}) => ({ name: "one", workload: "SuccessMilli", thresholdMilli: 990, ...more });
const bad = (what: string, blames: string, change: BadDocument["change"]): BadDocument => ({ what, blames, change });
const ofSpec = (what: string, blames: string, spec: object) =>
  bad(what, blames, (document) => Object.assign(document.spec, spec));
const ofTarget = (what: string, blames: string, target: object) =>
  bad(what, blames, (document) => Object.assign(document.spec.target, target));
const ofAction = (what: string, blames: string, action: object) => ofSpec(what, blames, { action });
const labelled = (what: string, matchLabels: object) =>
  ofTarget(what, "target.selector.matchLabels", { selector: { matchLabels } });

export const BAD_DOCUMENTS: readonly BadDocument[] = [
  bad("no spec", "spec", (document) => delete document.spec),
  bad("an empty spec", "target", (document) => {
    document.spec = {};
  }),
  ofSpec("an unknown field", "surprise", { surprise: 1 }),
  ofTarget("an unknown field deep inside", "namespace", { namespace: "kube-system" }),
  ofTarget("a selector that names nothing", "target.selector", { selector: {} }),
  labelled("an empty selector", {}),
  labelled("a label's value that ends a selector", { app: "payment,app!=payment" }),
  labelled("a label's value with quotes", { app: 'payment"}' }),
  labelled("a label's value of 64 characters", { app: "x".repeat(64) }),
  labelled("a label's empty value", { app: "" }),
  labelled("a label's key that is an expression", { "app in (a,b)": "payment" }),
  labelled("a label's value that is a number", { app: 1 }),
  labelled("17 labels", Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`label-${index}`, "x"]))),
  ofTarget("no targets", "target.maxTargets", { maxTargets: 0 }),
  ofTarget("fewer than no targets", "target.maxTargets", { maxTargets: -1 }),
  ofTarget("a billion targets", "target.maxTargets", { maxTargets: 1_000_000_000 }),
  ofTarget("half a target", "target.maxTargets", { maxTargets: 0.5 }),
  ofTarget("a number of targets as text", "target.maxTargets", { maxTargets: "1" }),
  bad("no bound of targets", "maxTargets", (document) => delete document.spec.target.maxTargets),
  bad("no bound of the share", "maxPercent", (document) => delete document.spec.target.maxPercent),
  ofTarget("no per cent", "target.maxPercent", { maxPercent: 0 }),
  ofTarget("101 per cent", "target.maxPercent", { maxPercent: 101 }),
  ofTarget("fewer than none left", "target.minHealthyRemaining", { minHealthyRemaining: -1 }),
  ofSpec("no duration", "durationSeconds", { durationSeconds: 0 }),
  ofSpec("a negative duration", "durationSeconds", { durationSeconds: -1 }),
  ofSpec("a duration for ever", "durationSeconds", { durationSeconds: 1_000_000_000 }),
  ofSpec("a duration with a unit", "durationSeconds", { durationSeconds: "60s" }),
  ofSpec("a duration of nothing", "durationSeconds", { durationSeconds: null }),
  ofSpec("a deadline before the end", "deadlineSeconds", { deadlineSeconds: 89 }),
  bad("no deadline", "deadlineSeconds", (document) => delete document.spec.deadlineSeconds),
  ofSpec("a start deadline of nothing", "startDeadlineSeconds", { startDeadlineSeconds: 0 }),
  ofAction("two actions", "action", { type: "PodKill", podKill: {}, freeze: {} }),
  ofAction("no action's member", "action", { type: "PodKill" }),
  ofAction("another action's member", "action", { type: "PodKill", freeze: {} }),
  ofAction("an unknown action", "action.type", { type: "RunCommand" }),
  ofAction("an unknown action's member", "runCommand", { type: "PodKill", podKill: {}, runCommand: { command: "id" } }),
  ofAction("an action without type", "type", { podKill: {} }),
  ofAction("rounds that do not fit", "action.podKill", { type: "PodKill", podKill: { times: 4, everySeconds: 5 } }),
  bad("more targets over all rounds than a status holds", "action.podKill", (document) => {
    document.spec.durationSeconds = 30;
    document.spec.target.maxTargets = 50;
    document.spec.action.podKill = { times: 3, everySeconds: 5 };
  }),
  ofAction("a mesh fault that does nothing", "action.meshFault", { type: "MeshFault", meshFault: { percent: 10 } }),
  ofAction("a crash point with a path", "action.crashPoint.point", {
    type: "CrashPoint",
    crashPoint: { point: "../../etc", effect: "kill" },
  }),
  ofAction("a peer that is an address", "action.partition.peer", {
    type: "Partition",
    partition: { peer: "http://169.254.169.254" },
  }),
  ofAction("a policy of 65,537 characters", "action.policy.document", {
    type: "Policy",
    policy: { document: "x".repeat(65_537), expect: "Rejected" },
  }),
  ofSpec("a check without threshold", "thresholdMilli", {
    steadyState: [{ name: "one", workload: "SuccessMilli" }],
  }),
  ofSpec("a threshold that is no number", "thresholdMilli", { steadyState: [check({ thresholdMilli: "NaN" })] }),
  ofSpec("a threshold with a fraction", "thresholdMilli", { steadyState: [check({ thresholdMilli: 0.99 })] }),
  ofSpec("a check that measures nothing", "steadyState", { steadyState: [{ name: "one", thresholdMilli: 1 }] }),
  ofSpec("a check that measures two things", "steadyState", {
    steadyState: [check({ prometheus: { query: "up" } })],
  }),
  ofSpec("a query of 100 KiB", "query", {
    stopConditions: [{ name: "one", prometheus: { query: "x".repeat(102_400) }, thresholdMilli: 1 }],
  }),
  ofSpec("a query with its own address", "url", {
    steadyState: [{ name: "one", prometheus: { query: "up", url: "http://10.0.0.1" }, thresholdMilli: 1 }],
  }),
  ofSpec("100 checks", "steadyState", {
    steadyState: Array.from({ length: 100 }, (_, index) => check({ name: `check-${index}` })),
  }),
  ofSpec("two checks of one name", "steadyState", { steadyState: [check(), check()] }),
  ofSpec("a check with a name that is none", "name", { steadyState: [check({ name: "Not a name" })] }),
  ofSpec("a check in no phase", "phases", { steadyState: [check({ phases: [] })] }),
  ofSpec("a description of 1 MiB", "description", { description: "x".repeat(200_000) }),
  ofSpec("an unknown invariant", "invariants", { invariants: ["NothingHappens"] }),
  ofSpec("no invariant", "invariants", { invariants: [] }),
  ofSpec("an abort that is text", "abort", { abort: "no" }),
  ofSpec("a seed beyond 31 bits", "seed", { seed: 2 ** 31 }),
  ofSpec("a seed below nothing", "seed", { seed: -1 }),
  ofSpec("a rate of nothing", "workload.ratePerSecond", { workload: { ratePerSecond: 0 } }),
];
