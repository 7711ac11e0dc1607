/** The databases that the judge reads. Pure. */
import type { Databases } from "@ordermesh/judge/ledgers";

const WANTED = ["order", "inventory", "payment", "shipping", "notification"];

/** `order=postgres://… payment=postgres://…`, separated by white space. @throws Error whose message completes "must be …" */
export function parseDatabases(text: string): Databases {
  const entries = text
    .split(/\s+/)
    .filter((part) => part !== "")
    .map((part) => part.match(/^([a-z]+)=(postgres(?:ql)?:\/\/.+)$/));
  if (entries.includes(null)) throw new Error("must be a list of name=postgres://… separated by spaces");
  const databases = Object.fromEntries(entries.map((entry) => [entry?.[1], entry?.[2]]));
  const missing = WANTED.filter((service) => databases[service] === undefined);
  if (missing.length > 0) throw new Error(`must name the databases of ${missing.join(", ")} too`);
  return databases;
}
