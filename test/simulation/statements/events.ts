/** What the statements of packages/events do, on rows in memory. */
import type { View } from "../memory-tables.ts";
import type { OutboxEntry } from "../tables.ts";
import type { Statements } from "./statements.ts";

const HOUR_MS = 3_600_000;
const RELAY_LEASE_MS = 5_000;

/** `values` are those of `outboxValues`. */
export function addToOutbox(view: View, values: readonly unknown[]): void {
  type Values = [string, string, string, string, string, bigint, number, string, Buffer];
  const [event_id, topic, key, type, source, sequence, timeMs, traceparent, data] = values as Values;
  const event = { event_id, topic, key, type, source, sequence, time_ms: BigInt(timeMs), traceparent, data };
  const waiting = { created_at: view.nowMs, published_at: null, parked_reason: null };
  view.insert("outbox", { id: view.nextId("outbox"), ...event, ...waiting });
}

/** Events as rows, from the columns of `outboxArrayValues`. */
export function outboxRows(
  columns: readonly unknown[],
): { readonly key: unknown; readonly values: readonly unknown[] }[] {
  const arrays = columns as unknown[][];
  const [ids = []] = arrays;
  return ids.map((_, row) => ({ key: arrays[2]?.[row], values: arrays.map((column) => column[row]) }));
}

function isWaiting({ published_at, parked_reason }: OutboxEntry): boolean {
  return published_at === null && parked_reason === null;
}

export const EVENT_STATEMENTS: Statements = {
  relay_take(view, values) {
    const [holder, limit] = values as [string, number];
    const [lease] = view.update(
      "relay_lease",
      (row) => row.holder === holder || row.ends_at < view.nowMs,
      (row) => ({
        ...row,
        holder,
        ends_at: view.nowMs + RELAY_LEASE_MS,
        epoch: row.holder === holder ? row.epoch : row.epoch + 1n,
      }),
    );
    if (lease === undefined) return [];
    return view
      .rows("outbox")
      .filter(isWaiting)
      .toSorted((a, b) => Number(a.id - b.id))
      .slice(0, limit)
      .map((row) => ({ ...row, epoch: lease.epoch }));
  },
  relay_mark(view, values) {
    const [ids, holder, epoch] = values as [bigint[], string, bigint];
    if (view.find("relay_lease", (row) => row.holder === holder && row.epoch === epoch) === undefined) return [];
    view.update(
      "outbox",
      ({ id }) => ids.includes(id),
      (row) => ({ ...row, published_at: view.nowMs }),
    );
    return [];
  },
  relay_park(view, values) {
    const [id, reason] = values as [bigint, string];
    view.update(
      "outbox",
      (row) => row.id === id,
      (row) => ({ ...row, parked_reason: reason }),
    );
    return [];
  },
  relay_measure(view) {
    const waiting = view.rows("outbox").filter(isWaiting);
    const oldestMs = Math.min(view.nowMs, ...waiting.map(({ created_at }) => created_at));
    return [{ waiting: BigInt(waiting.length), age: (view.nowMs - oldestMs) / 1_000 }];
  },
  relay_prune(view) {
    const isOld = ({ published_at }: OutboxEntry) => published_at !== null && published_at < view.nowMs - 24 * HOUR_MS;
    return Array.from({ length: view.delete("outbox", isOld) }, () => ({}));
  },
  inbox_record(view, values) {
    const [consumer, ids, topics, keys, sequences] = values as [string, string[], string[], string[], bigint[]];
    return ids.flatMap((event_id, index) => {
      const [topic = "", key = "", sequence = 0n] = [topics[index], keys[index], sequences[index]];
      const row = { id: view.nextId("inbox"), consumer, event_id, topic, key, sequence, handled_at: view.nowMs };
      return view.insert("inbox", row) ? [{ event_id }] : [];
    });
  },
  inbox_prune(view) {
    const deleted = view.delete("inbox", ({ handled_at }) => handled_at < view.nowMs - 8 * 24 * HOUR_MS);
    return Array.from({ length: deleted }, () => ({}));
  },
};
