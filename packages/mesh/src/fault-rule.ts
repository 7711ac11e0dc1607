/** Faults that operators inject into calls: delays and aborts by share, for a while. Pure. */
import { z } from "zod";
import type { Random } from "./clock.ts";
import { type ErrorKind, MeshError } from "./errors.ts";
import { STATUS_BY_KIND } from "./status.ts";
import { parseStrictly } from "./strict-json.ts";

/** A fault that nobody takes away ends by itself. */
const MAX_LIFE_MS = 3_600_000;
const KINDS = Object.keys(STATUS_BY_KIND) as [ErrorKind, ...ErrorKind[]];

const name = z.string().min(1).max(253);
const document = z
  .strictObject({
    schemaVersion: z.literal(1),
    service: name.describe("The service that is called"),
    method: name.optional().describe("One method only, by its name"),
    caller: name.optional().describe("Calls of one service only"),
    share: z.number().gt(0).max(1).describe("Share of the attempts that the fault meets"),
    delayMs: z.int().min(1).max(60_000).optional().describe("Pause before the attempt is sent"),
    abort: z.enum(KINDS).optional().describe("Kind of the error instead of an attempt"),
    expiresAtMs: z.int().positive().describe("When it ends, milliseconds since the Unix epoch; at most an hour ahead"),
  })
  .refine(({ delayMs, abort }) => delayMs !== undefined || abort !== undefined, "needs delayMs or abort");

export type FaultRule = z.infer<typeof document>;

/** @throws MeshError invalid DOCUMENT_INVALID, FAULT_RULE_INVALID with violations */
export function parseFaultRule(text: string, wallMs: number): FaultRule {
  const parsed = document.safeParse(parseStrictly(text));
  if (parsed.success && parsed.data.expiresAtMs <= wallMs + MAX_LIFE_MS) return parsed.data;
  const issues = parsed.success
    ? [{ path: ["expiresAtMs"], message: "must be within an hour" }]
    : parsed.error.issues.map(({ path, message }) => ({ path, message }));
  const violations = issues.map(({ path, message }) => ({ field: path.map(String).join("."), description: message }));
  throw new MeshError("invalid", "FAULT_RULE_INVALID", violations[0]?.description ?? "not valid", { violations });
}

export type FaultedCall = { readonly service: string; readonly method: string; readonly caller: string };

/** The first rule that meets an attempt; each rule has its own chance. */
export function faultFor(
  rules: readonly FaultRule[],
  call: FaultedCall,
  wallMs: number,
  random: Random,
): FaultRule | undefined {
  return rules.find(
    (rule) =>
      rule.service === call.service &&
      (rule.method === undefined || rule.method === call.method) &&
      (rule.caller === undefined || rule.caller === call.caller) &&
      wallMs < rule.expiresAtMs &&
      random() < rule.share,
  );
}
