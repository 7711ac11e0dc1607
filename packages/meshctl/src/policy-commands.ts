/** `meshctl policy …` */
import { readFileSync } from "node:fs";
import { isKind, MeshError } from "@ordermesh/mesh/errors";
import { parsePolicy } from "@ordermesh/mesh/policy";
import { type Context, EXIT } from "./context.ts";
import { findPolicy, listHistory, setPolicy } from "./policies.ts";

export async function getPolicy(context: Context, service: string | undefined): Promise<number> {
  const { documents, prefix, output } = context;
  if (service === undefined) {
    const folder = `${prefix}/policy/`;
    const rows = (await documents.list(folder)).map(({ key, value, revision }) => ({
      service: key.slice(folder.length),
      revision: String(revision),
      sets: Object.keys(JSON.parse(value))
        .filter((name) => name !== "schemaVersion")
        .join(","),
    }));
    output.rows(rows, "No service has a policy; all have what is built in.");
    return EXIT.ok;
  }
  const found = await findPolicy(context, service);
  if (found === undefined) throw new MeshError("not-found", "POLICY_UNKNOWN", `${service} has no policy`);
  output.document(found.value);
  return EXIT.ok;
}

export async function putPolicy(context: Context, service: string, file: string, ifRevision?: number): Promise<number> {
  const revision = await setPolicy(
    context,
    service,
    read(file),
    ifRevision === undefined ? undefined : BigInt(ifRevision),
  );
  context.output.line({ service, revision: String(revision) }, `${service} has the policy of revision ${revision}.`);
  return EXIT.ok;
}

export async function deletePolicy(context: Context, service: string): Promise<number> {
  const revision = await setPolicy(context, service, undefined);
  context.output.line({ service, revision: String(revision) }, `${service} has no policy any more.`);
  return EXIT.ok;
}

/** Needs no store. */
export function validatePolicy(output: Context["output"], file: string): number {
  try {
    parsePolicy(read(file));
  } catch (error) {
    if (!isKind(error, "invalid")) throw error;
    const { violations, message } = error;
    const rows = violations.map(({ field, description }) => ({ field: field || "(document)", problem: description }));
    output.rows(rows.length > 0 ? rows : [{ field: "(document)", problem: message }], "");
    return EXIT.no;
  }
  output.line({ valid: true }, "The document is valid.");
  return EXIT.ok;
}

export async function showHistory(context: Context, service: string): Promise<number> {
  const rows = (await listHistory(context, service)).map(({ number, at, by, document }) => ({
    number,
    at,
    by,
    document: document === undefined ? "(deleted)" : JSON.stringify(JSON.parse(document)),
  }));
  context.output.rows(rows, `Nobody has set a policy of ${service} with meshctl.`);
  return EXIT.ok;
}

/** To the entry `to`, or to the one before the last. */
export async function rollBack(context: Context, service: string, to: number | undefined): Promise<number> {
  const history = await listHistory(context, service);
  const entry = to === undefined ? history.at(-2) : history.find(({ number }) => number === to);
  if (entry === undefined)
    throw new MeshError(
      "not-found",
      "POLICY_UNKNOWN",
      `the history of ${service} has no ${to === undefined ? "earlier entry" : `entry ${to}`}`,
    );
  const revision = await setPolicy(context, service, entry.document);
  const what = entry.document === undefined ? "no policy, as" : "the policy";
  context.output.line(
    { service, revision: String(revision), to: entry.number },
    `${service} has ${what} of entry ${entry.number} again.`,
  );
  return EXIT.ok;
}

function read(file: string): string {
  return readFileSync(file === "-" || file === "" ? 0 : file, "utf8"); // yargs takes - for nothing.
}
