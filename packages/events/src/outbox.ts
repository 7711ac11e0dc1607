/** The outbox as SQL: a service writes its event in the same statement as the state that the event tells of. */
import type { OutboundEvent } from "./event.ts";

/** Folder of the tables `outbox`, `relay_lease` and `inbox`; migrate it into `EVENTS_TABLE` before a service's own. */
export const EVENTS_MIGRATIONS = new URL("../migrations/", import.meta.url);
export const EVENTS_TABLE = "events_migrations";

/** Notify this channel after writing into the outbox: the relay listens. */
export const OUTBOX_CHANNEL = "outbox";

/** Columns in the order of `outboxValues`. */
export const OUTBOX_COLUMNS = "event_id, topic, key, type, source, sequence, time_ms, traceparent, data";

/** How many parameters an event takes. */
export const OUTBOX_WIDTH = 9;

/** `$<first>, $<first + 1>, …` with the types that a bare SELECT needs. */
export function outboxParameters(first: number): string {
  const types = ["uuid", "text", "text", "text", "text", "bigint", "bigint", "text", "bytea"];
  return types.map((type, index) => `$${first + index}::${type}`).join(", ");
}

export function outboxValues(event: OutboundEvent): unknown[] {
  const { id, topic, key, type, source, sequence, timeMs, traceparent, data } = event;
  return [id, topic, key, type, source, sequence, timeMs, traceparent, Buffer.from(data)];
}

/** For set-based statements: `unnest(...)` of one array for each column. */
export function outboxArrays(first: number): string {
  const types = ["uuid", "text", "text", "text", "text", "bigint", "bigint", "text", "bytea"];
  return `unnest(${types.map((type, index) => `$${first + index}::${type}[]`).join(", ")})`;
}

export function outboxArrayValues(events: readonly OutboundEvent[]): unknown[][] {
  const rows = events.map(outboxValues);
  return Array.from({ length: OUTBOX_WIDTH }, (_, column) => rows.map((row) => row[column]));
}
