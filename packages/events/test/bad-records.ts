/** Records that no consumer can handle, made from a good one, each with the reason that its dead letter gives. */
import type { RawRecord } from "../src/bus.ts";

export type BadRecord = {
  readonly what: string;
  readonly reason: string;
  readonly change: (good: RawRecord) => Partial<RawRecord>;
};

const KEY_REASON = "the key must be the order's UUID and equal ce_subject";
const OTHER_ORDER = "0190a0a0-0000-7000-8000-00000000beef";

const header = (name: string, value: string | Buffer | undefined, reason: string): BadRecord => ({
  what: `${name} ${value === undefined ? "missing" : JSON.stringify(value.toString().slice(0, 20))}`,
  reason,
  change: ({ headers }) => ({
    headers: Object.fromEntries(
      Object.entries({ ...headers, [name]: value }).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    ),
  }),
});

const REQUIRED = [
  "ce_specversion",
  "ce_id",
  "ce_type",
  "ce_source",
  "ce_subject",
  "ce_time",
  "ce_sequence",
  "content-type",
];

export const BAD_RECORDS: readonly BadRecord[] = [
  ...REQUIRED.map((name) => header(name, undefined, `header ${name} is missing`)),
  ...REQUIRED.map((name) => header(name, "", `header ${name} is missing`)),
  header("ce_specversion", "2.0", "ce_specversion must be 1.0"),
  header("content-type", "application/json", "content-type must be application/protobuf"),
  ...["1", "0190A0A0-0000-7000-8000-000000000001", "../../etc", "line\nbreak"].map((id) =>
    header("ce_id", id, "ce_id must be a UUID"),
  ),
  header("ce_id", Buffer.from([0xff, 0xfe, 0x00]), "ce_id must be a UUID"),
  header("ce_subject", OTHER_ORDER, KEY_REASON),
  ...["0", "-1", "1.5", "1e3", "NaN", "1".repeat(19), " 1"].map((sequence) =>
    header("ce_sequence", sequence, "ce_sequence must be a positive whole number"),
  ),
  header("ce_time", "yesterday", "ce_time must be a time"),
  header("x-long", "x".repeat(65_536), "a header is too long"),
  {
    what: "a thousand headers",
    reason: "there are too many headers",
    change: ({ headers }) => ({
      headers: { ...headers, ...Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`x-${index}`, ""])) },
    }),
  },
  { what: "no headers", reason: "header ce_specversion is missing", change: () => ({ headers: {} }) },
  { what: "a null value", reason: "the value is empty", change: () => ({ value: null }) },
  { what: "an empty value", reason: "the value is empty", change: () => ({ value: Buffer.alloc(0) }) },
  { what: "a null key", reason: KEY_REASON, change: () => ({ key: null }) },
  { what: "another order's key", reason: KEY_REASON, change: () => ({ key: OTHER_ORDER }) },
  { what: "a key that is no UUID", reason: KEY_REASON, change: () => ({ key: "order-1" }) },
];
