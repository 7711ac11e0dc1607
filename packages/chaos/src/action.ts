/** What an experiment does to its targets: one member for each type, every bound in the schema. Pure. */
import { z } from "zod";

const seconds = (min: number, max: number) => z.int().min(min).max(max);
const times = z.int().min(1).max(100).default(1);
const everySeconds = seconds(1, 600).default(15);
const component = z
  .string()
  .regex(/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/, "must be a component's name, such as payment")
  .max(63);
const percent = z.int().min(1).max(100);

/** The members' schemas by the action's type; the member of `PodKill` is `podKill`. Faults hold for `durationSeconds` unless they say otherwise. */
export const ACTIONS = {
  PodKill: z
    .strictObject({
      gracePeriodSeconds: seconds(0, 60).default(0).describe("0 kills at once; more asks it to stop first"),
      everySeconds: everySeconds.describe("Pause between two rounds"),
      times: times.describe("Rounds; each takes targets that live then"),
    })
    .describe("Pods die, one round after another"),
  Outage: z.strictObject({}).describe("Targets are stopped and started again at the end"),
  Freeze: z.strictObject({}).describe("Targets stand still, with their connections open"),
  Starve: z
    .strictObject({ cpuPercent: z.int().min(1).max(90).describe("Share of the time in which they still run") })
    .describe("Targets get little CPU"),
  CrashPoint: z
    .strictObject({
      point: z.string().regex(/^[a-zA-Z.]{1,64}$/, "must be a crash point's name"),
      effect: z
        .enum(["kill", "error", "sleep", "exhaust"])
        .describe("exhaust takes memory until the process dies of it"),
      times: times.describe("How often it acts, at all targets together"),
    })
    .describe("Targets die, fail or hang at a named place of their code"),
  MeshFault: z
    .strictObject({
      caller: component.optional().describe("Calls of one service only"),
      method: z
        .string()
        .regex(/^[A-Z][A-Za-z0-9]{0,127}$/)
        .optional(),
      percent: percent.default(100).describe("Share of the attempts that the fault meets"),
      delayMs: z.int().min(1).max(60_000).optional().describe("Pause before an attempt is sent"),
      abort: z
        .enum(["unavailable", "exhausted", "conflict", "precondition", "not-found"])
        .optional()
        .describe("Error instead of an attempt"),
    })
    .describe("Calls to the targets' service wait or fail"),
  Partition: z
    .strictObject({
      peer: component.describe("Component that the targets cannot reach"),
      mode: z.enum(["Blackhole", "Reset"]).default("Blackhole").describe("Silent, or with connections broken"),
    })
    .describe("Targets and a peer do not reach each other"),
  Latency: z
    .strictObject({
      peer: component,
      delayMs: z.int().min(1).max(10_000),
      jitterMs: z.int().min(0).max(10_000).default(0),
    })
    .describe("Bytes between targets and a peer come late"),
  Throttle: z
    .strictObject({ peer: component, bytesPerSecond: z.int().min(1_000).max(1_000_000_000) })
    .describe("Bytes between targets and a peer come slowly"),
  TerminateConnections: z
    .strictObject({ everySeconds, times })
    .describe("PostgreSQL ends all connections of the targets' databases"),
  Compaction: z
    .strictObject({
      changes: z.int().min(1).max(10_000).default(1_000).describe("Made and forgotten while the targets see none"),
    })
    .describe("etcd forgets its history while the targets do not reach it"),
  SpaceAlarm: z.strictObject({}).describe("etcd takes no writes, as when its space is used up"),
  RevokeLeases: z.strictObject({ everySeconds, times }).describe("The targets' registrations are taken from them"),
  Policy: z
    .strictObject({
      document: z.string().min(1).max(65_536).describe("What is put as the targets' traffic policy"),
      expect: z.enum(["Applied", "Rejected"]).describe("What every instance must make of it"),
    })
    .describe("The targets' traffic policy is replaced"),
  PolicyDelete: z
    .strictObject({})
    .describe("The targets' traffic policy is deleted; where there is none, an empty one"),
  PolicyChurn: z
    .strictObject({ perSecond: z.int().min(1).max(200) })
    .describe("The targets' traffic policy is written again and again"),
  PoisonEvent: z
    .strictObject({ topic: component, count: z.int().min(1).max(100).default(1) })
    .describe("Records that nobody can handle come on a topic"),
  RewindOffsets: z
    .strictObject({ group: component, topic: component, records: z.int().min(1).max(100_000).default(10_000) })
    .describe("A consumer group reads what it has handled already"),
  RebalanceStorm: z
    .strictObject({
      group: component,
      topic: component,
      everySeconds: everySeconds.default(5),
      times: times.default(10),
    })
    .describe("A member joins a consumer group and leaves it, again and again"),
  RenewCertificates: z.strictObject({ everySeconds, times }).describe("The targets get new certificates"),
  ExpireCertificates: z.strictObject({}).describe("The targets' certificates run out, and no new ones come"),
  LoadSpike: z
    .strictObject({ factor: z.int().min(2).max(20) })
    .describe("Orders come more often than the system can take"),
  RepeatedKey: z
    .strictObject({ requests: z.int().min(2).max(1_000).default(100) })
    .describe("One order is sent many times at once under one key"),
  /** The following need rights over the node that no back end here takes; they end Inconclusive and say so. */
  DnsFault: z.strictObject({ peer: component, mode: z.enum(["NotFound", "Slow"]) }).describe("A name is not found"),
  DiskFill: z.strictObject({ leaveMegabytes: z.int().min(0).max(10_000).default(0) }).describe("A volume is full"),
  ClockSkew: z.strictObject({ offsetSeconds: z.int().min(-86_400).max(86_400) }).describe("A clock is wrong"),
  NodeStop: z.strictObject({}).describe("A node goes away"),
  NodeDrain: z.strictObject({}).describe("All pods of a node are asked to leave it"),
  RevokeAccess: z.strictObject({ peer: component }).describe("The targets' rights at a peer are taken from them"),
} as const;

export type ActionType = keyof typeof ACTIONS;
export type ActionOf<T extends ActionType> = z.infer<(typeof ACTIONS)[T]>;
/** `{type: "PodKill", podKill: {…}}`, with the one member that the type names. */
export type Action = {
  [T in ActionType]: { readonly type: T } & { readonly [M in Uncapitalize<T>]: ActionOf<T> };
}[ActionType];

export const ACTION_TYPES = Object.keys(ACTIONS) as [ActionType, ...ActionType[]];

/** What the action of a type says. @throws RangeError for one of another type: a fault was wired to what is not its own */
export function parametersOf<T extends ActionType>(action: Action, type: T): ActionOf<T> {
  if (action.type !== type) throw new RangeError(`${action.type} is no ${type}`);
  return (action as unknown as Record<string, ActionOf<T>>)[memberOf(type)] as ActionOf<T>;
}

/** `podKill` for `PodKill`. */
export function memberOf<T extends ActionType>(type: T): Uncapitalize<T> {
  return (type.charAt(0).toLowerCase() + type.slice(1)) as Uncapitalize<T>;
}
