/** `meshctl faults …` */
import { randomUUID } from "node:crypto";
import { MeshError } from "@ordermesh/mesh/errors";
import { parseFaultRule } from "@ordermesh/mesh/fault-rule";
import { type Context, EXIT } from "./context.ts";
import { parseDuration } from "./duration.ts";

/** The rule ends by itself a little before etcd takes it away. */
const LEASE_MARGIN_S = 5;

export type FaultOptions = {
  readonly service: string;
  readonly method: string | undefined;
  readonly caller: string | undefined;
  readonly share: number;
  readonly delay: string | undefined;
  readonly abort: string | undefined;
  readonly for: string;
  readonly name: string | undefined;
};

/** @throws MeshError invalid FAULT_RULE_INVALID, RangeError for a duration */
export async function addFault({ documents, prefix, output }: Context, options: FaultOptions): Promise<number> {
  const { service, method, caller, share, delay, abort, for: duration, name } = options;
  const id = name ?? `${service}-${randomUUID().slice(0, 8)}`;
  const lifeMs = parseDuration(duration);
  const nowMs = Date.now();
  const rule = {
    schemaVersion: 1,
    service,
    method,
    caller,
    share,
    delayMs: delay === undefined ? undefined : parseDuration(delay),
    abort,
    expiresAtMs: nowMs + lifeMs,
  };
  const text = JSON.stringify(rule);
  parseFaultRule(text, nowMs);
  await documents.putFor(`${prefix}/faults/${id}`, text, Math.ceil(lifeMs / 1_000) + LEASE_MARGIN_S);
  const until = new Date(rule.expiresAtMs).toISOString();
  output.line(
    { name: id, until },
    `${id} meets calls to ${service} until ${until}; \`meshctl faults clear ${id}\` ends it sooner.`,
  );
  return EXIT.ok;
}

export async function listFaults({ documents, prefix, output }: Context): Promise<number> {
  const folder = `${prefix}/faults/`;
  const rows = (await documents.list(folder)).map(({ key, value }) => {
    const {
      service = "",
      method = "",
      caller = "",
      share = 0,
      delayMs = "",
      abort = "",
      expiresAtMs = 0,
    } = JSON.parse(value);
    const leftS = Math.round((Number(expiresAtMs) - Date.now()) / 1_000);
    const left = leftS > 0 ? `${leftS}s` : "over";
    return { name: key.slice(folder.length), service, method, caller, share, delayms: delayMs, abort, left };
  });
  output.rows(rows, "There are no faults.");
  return EXIT.ok;
}

/** @throws MeshError not-found FAULT_UNKNOWN */
export async function clearFaults({ documents, prefix, output }: Context, name: string | undefined): Promise<number> {
  const folder = `${prefix}/faults/`;
  const found = await documents.list(folder);
  const chosen = found.filter(({ key }) => name === undefined || key === folder + name);
  if (name !== undefined && chosen.length === 0)
    throw new MeshError(
      "not-found",
      "FAULT_UNKNOWN",
      `there is no fault ${name}: \`meshctl faults list\` shows those there are`,
    );
  if (chosen.length > 0) await documents.write({ deletes: chosen.map(({ key }) => key) });
  output.rows(
    chosen.map(({ key }) => ({ cleared: key.slice(folder.length) })),
    "There were no faults.",
  );
  return EXIT.ok;
}
