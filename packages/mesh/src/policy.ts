/** Traffic policy: how a service is called, as operators set it in etcd. The one schema; everything else comes from it. Pure. */
import { z } from "zod";
import { CONCURRENCY } from "./adaptive-limit.ts";
import type { ServerPolicy } from "./admission.ts";
import type { CallLimitPolicy } from "./call-limit.ts";
import { CALL_LIMIT } from "./call-limit.ts";
import { EJECTION, type EjectionPolicy } from "./endpoint-health.ts";
import { MeshError } from "./errors.ts";
import { RETRY_BUDGET, type RetryBudgetPolicy } from "./retry-budget.ts";
import { parseStrictly } from "./strict-json.ts";
import type { RatePolicy } from "./token-bucket.ts";

const milliseconds = (min: number, max: number) => z.int().min(min).max(max);
const share = z.number().min(0).max(1);
const headerName = z
  .string()
  .regex(/^(?!grpc-|:)[a-z0-9_.-]{1,64}$/, "must be a lower-case header name, not a reserved one");
const version = z.string().min(1).max(253);

const retries = z
  .strictObject({
    attempts: z.int().min(1).max(5).describe("Attempts of one call, the first included"),
    perTryTimeoutMs: milliseconds(10, 30_000).describe("Time for one attempt; the call's own deadline bounds it too"),
    backoffBaseMs: milliseconds(1, 1_000).describe("Longest pause before the second attempt; it doubles each time"),
    backoffMaxMs: milliseconds(1, 10_000).describe("Longest pause at all"),
    budgetRatio: share.describe("Retries for each call of the last ten seconds"),
    budgetPerSecond: z.int().min(0).max(1_000).describe("Retries a second on top of that"),
  })
  .partial();

const rateLimit = z.strictObject({
  perSecond: z.number().min(0.1).max(1_000_000),
  burst: z.int().min(1).max(1_000_000).describe("Calls at once after a while without any"),
});

const timeoutMs = milliseconds(10, 30_000).describe("Deadline of calls that name none, with all their attempts");

const document = z.strictObject({
  schemaVersion: z.literal(1),
  timeoutMs: timeoutMs.optional(),
  retries: retries.optional(),
  hedging: z
    .strictObject({
      delayMs: milliseconds(1, 10_000).describe("Time without an answer after which a second attempt starts"),
    })
    .optional()
    .describe("For methods that may be repeated: the first answer of two counts"),
  balancing: z
    .strictObject({
      algorithm: z.enum(["least-loaded-of-two", "round-robin", "consistent-hash"]),
      hashHeader: headerName.describe("consistent-hash: calls with the same value go to the same endpoint"),
      preferZone: z.boolean().describe("Endpoints of the caller's zone first, while most of them work"),
    })
    .partial()
    .refine((value) => value.algorithm !== "consistent-hash" || value.hashHeader !== undefined, {
      path: ["hashHeader"],
      message: "is needed for consistent-hash",
    })
    .optional(),
  ejection: z
    .strictObject({
      consecutiveFailures: z.int().min(1).max(1_000),
      successRate: share,
      minimumCalls: z.int().min(1).max(100_000),
      baseMs: milliseconds(100, 300_000),
      maxMs: milliseconds(100, 3_600_000),
      maxShare: share.describe("Share of the endpoints that may be out at the same time"),
    })
    .partial()
    .optional(),
  limits: z
    .strictObject({
      inFlight: z.int().min(1).max(100_000),
      queued: z.int().min(0).max(100_000),
      maxWaitMs: milliseconds(1, 30_000).describe("Calls that have waited for so long are refused"),
    })
    .partial()
    .optional()
    .describe("Calls of one client process at a time, and those that wait for their turn"),
  rateLimit: rateLimit.optional().describe("Calls of one client process; more fail at once"),
  server: z
    .strictObject({
      rateLimit: rateLimit.describe("Calls that one instance takes of each calling service"),
      concurrency: z
        .strictObject({ min: z.int().min(1).max(100_000), max: z.int().min(1).max(100_000) })
        .refine(({ min, max }) => min <= max, { path: ["max"], message: "must not be below min" })
        .describe("Bounds of the limit that an instance finds for the calls of a method at a time"),
    })
    .partial()
    .optional()
    .describe("How instances of the service protect themselves"),
  mirror: z
    .strictObject({ version, share })
    .optional()
    .describe("A version that gets copies of calls without side effects; nobody waits for its answers"),
  split: z
    .strictObject({
      weights: z
        .record(version, z.number().min(0).max(100))
        .describe("Percent of the calls for each version, in steps of 0.01")
        .refine((weights) => Object.values(weights).every(isHundredths), "must be in steps of 0.01")
        .refine((weights) => sumOf(weights) === 100, "must add up to 100"),
      stickyHeader: headerName.optional().describe("Calls with the same value go to the same version"),
    })
    .optional(),
  routes: z
    .array(
      z
        .strictObject({
          header: headerName,
          equals: z.string().max(256).optional(),
          prefix: z.string().max(256).optional(),
          version,
        })
        .refine(
          ({ equals, prefix }) => (equals === undefined) !== (prefix === undefined),
          "needs either equals or prefix",
        ),
    )
    .max(20)
    .optional()
    .describe("Versions for calls by a header; the first that fits, before the split"),
  methods: z
    .record(
      z.string().regex(/^[A-Z][A-Za-z0-9]{0,127}$/, "must be a method's name"),
      z.strictObject({ timeoutMs, retries }).partial(),
    )
    .optional()
    .describe("What differs for a method, by its name"),
});

export type PolicyDocument = z.infer<typeof document>;

export type RetryPolicy = RetryBudgetPolicy & {
  readonly attempts: number;
  readonly perTryTimeoutMs: number | undefined;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
};

/** A document with the defaults filled in, for one method. */
export type Policy = {
  readonly timeoutMs: number | undefined;
  readonly retries: RetryPolicy;
  readonly hedging: { readonly delayMs: number } | undefined;
  readonly balancing: {
    readonly algorithm: "least-loaded-of-two" | "round-robin" | "consistent-hash";
    readonly hashHeader: string | undefined;
    readonly preferZone: boolean;
  };
  readonly ejection: EjectionPolicy & { readonly maxShare: number };
  readonly limits: CallLimitPolicy;
  readonly rateLimit: RatePolicy | undefined;
  readonly server: ServerPolicy;
  readonly mirror: PolicyDocument["mirror"];
  readonly split: PolicyDocument["split"];
  readonly routes: NonNullable<PolicyDocument["routes"]>;
};

/** The JSON Schema of a policy document (draft 2020-12). */
export function policySchema(): unknown {
  return z.toJSONSchema(document);
}

/** @throws MeshError invalid DOCUMENT_INVALID for text that is no JSON object, POLICY_INVALID with violations */
export function parsePolicy(text: string): PolicyDocument {
  const parsed = document.safeParse(parseStrictly(text));
  const issues = parsed.success ? boundsOf(parsed.data) : parsed.error.issues;
  if (parsed.success && issues.length === 0) return parsed.data;
  const violations = issues.map(({ path, message }) => ({ field: path.map(String).join("."), description: message }));
  const [first] = violations;
  throw new MeshError("invalid", "POLICY_INVALID", `${first?.field || "the document"}: ${first?.description}`, {
    violations,
  });
}

/** What holds for `methodName`: its own entry, then the service's document, then the default one, then what is built in. */
export function policyFor(documents: readonly (PolicyDocument | undefined)[], methodName: string): Policy {
  const layers = documents.flatMap((own) => (own === undefined ? [] : [{ ...own, ...methodLayer(own, methodName) }]));
  const first = <T>(pick: (layer: PolicyDocument) => T | undefined): T | undefined => {
    for (const layer of layers) {
      const found = pick(layer);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const merged = <K extends "retries" | "balancing" | "ejection" | "limits" | "server">(key: K) =>
    Object.assign({}, ...layers.map((layer) => layer[key] ?? {}).reverse());
  const asked = merged("retries");
  return {
    timeoutMs: first((layer) => layer.timeoutMs),
    retries: {
      attempts: asked.attempts ?? 3,
      perTryTimeoutMs: asked.perTryTimeoutMs,
      backoffBaseMs: asked.backoffBaseMs ?? 25,
      backoffMaxMs: asked.backoffMaxMs ?? 250,
      ratio: asked.budgetRatio ?? RETRY_BUDGET.ratio,
      perSecond: asked.budgetPerSecond ?? RETRY_BUDGET.perSecond,
    },
    hedging: first((layer) => layer.hedging),
    balancing: { algorithm: "least-loaded-of-two", hashHeader: undefined, preferZone: true, ...merged("balancing") },
    ejection: { ...EJECTION, maxShare: 0.5, ...merged("ejection") },
    limits: { ...CALL_LIMIT, ...merged("limits") },
    rateLimit: first((layer) => layer.rateLimit),
    server: { concurrency: CONCURRENCY, rateLimit: undefined, ...merged("server") },
    mirror: first((layer) => layer.mirror),
    split: first((layer) => layer.split),
    routes: first((layer) => layer.routes) ?? [],
  };
}

function methodLayer(own: PolicyDocument, methodName: string): Partial<PolicyDocument> {
  const { timeoutMs: methodTimeoutMs, retries: methodRetries } = own.methods?.[methodName] ?? {};
  return {
    ...(methodTimeoutMs === undefined ? {} : { timeoutMs: methodTimeoutMs }),
    ...(methodRetries === undefined ? {} : { retries: { ...own.retries, ...methodRetries } }),
  };
}

/** What fields mean together. */
function boundsOf(own: PolicyDocument): { path: PropertyKey[]; message: string }[] {
  const { backoffBaseMs = 25, backoffMaxMs = 250, perTryTimeoutMs } = own.retries ?? {};
  const { baseMs = EJECTION.baseMs, maxMs = EJECTION.maxMs } = own.ejection ?? {};
  return [
    ...(backoffBaseMs > backoffMaxMs
      ? [{ path: ["retries", "backoffMaxMs"], message: "must not be below backoffBaseMs" }]
      : []),
    ...(baseMs > maxMs ? [{ path: ["ejection", "maxMs"], message: "must not be below baseMs" }] : []),
    ...(perTryTimeoutMs !== undefined && own.timeoutMs !== undefined && perTryTimeoutMs > own.timeoutMs
      ? [{ path: ["retries", "perTryTimeoutMs"], message: "must not be above timeoutMs" }]
      : []),
  ];
}

function isHundredths(weight: number): boolean {
  return Math.abs(weight * 100 - Math.round(weight * 100)) < 1e-6;
}

/** In hundredths, so that 33.33 + 33.33 + 33.34 is 100. */
function sumOf(weights: Readonly<Record<string, number>>): number {
  return Object.values(weights).reduce((sum, weight) => sum + Math.round(weight * 100), 0) / 100;
}
