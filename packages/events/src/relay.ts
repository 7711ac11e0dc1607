/** Sends the outbox to Kafka, one relay at a time for each database, in the order in which rows were written. */
import type { Clock } from "@ordermesh/mesh/clock";
import { failpoint } from "@ordermesh/runtime/failpoints";
import type { Logger } from "@ordermesh/runtime/log";
import { type Database, sql } from "@ordermesh/runtime/postgres";
import { Wakeup } from "@ordermesh/runtime/wakeup";
import { RecordRejected } from "./bus.ts";
import type { OutboundEvent } from "./event.ts";
import type { EventMetrics } from "./metrics.ts";
import { OUTBOX_CHANNEL } from "./outbox.ts";

const BATCH = 500;
const IDLE_POLL_MS = 1_000;
const MIN_PAUSE_MS = 100;
const MAX_PAUSE_MS = 2_000;
/** How long a batch that is on its way may hold up a process that stops; Kafka may be away. */
const STOP_GRACE_MS = 3_000;
const MEASURE_EVERY_MS = 2_000;
const PRUNE_EVERY_MS = 60_000;

/** What the relay needs of Kafka; `publish` resolves when all events are safe and rejects when that is not known. */
export type Publisher = { publish(events: readonly OutboundEvent[]): Promise<void> };

export type RelayOptions = {
  readonly db: Database;
  readonly bus: Publisher;
  /** Unique name of this process. */
  readonly holder: string;
  /** Events in one produce request. */
  readonly chunk: number;
  readonly log: Logger;
  readonly metrics: EventMetrics;
  readonly clock: Clock;
  readonly signal: AbortSignal;
};

export type Row = {
  id: bigint;
  epoch: bigint;
  event_id: string;
  topic: string;
  key: string;
  type: string;
  source: string;
  sequence: bigint;
  time_ms: bigint;
  traceparent: string;
  data: Buffer;
};

/** Takes or renews the lease and reads what waits, in one round trip. No row when another relay holds the lease. */
const TAKE = sql(
  "relay_take",
  `WITH lease AS (
     UPDATE relay_lease SET holder = $1, ends_at = now() + interval '5 seconds',
       epoch = epoch + CASE WHEN holder = $1 THEN 0 ELSE 1 END
     WHERE holder = $1 OR ends_at < now() RETURNING epoch)
   SELECT o.id, lease.epoch, o.event_id, o.topic, o.key, o.type, o.source, o.sequence, o.time_ms, o.traceparent, o.data
   FROM outbox o, lease WHERE o.published_at IS NULL AND o.parked_reason IS NULL ORDER BY o.id LIMIT $2`,
);
const MARK = sql(
  "relay_mark",
  `UPDATE outbox SET published_at = now() WHERE id = ANY($1::bigint[])
     AND EXISTS (SELECT FROM relay_lease WHERE holder = $2 AND epoch = $3)`,
);
const PARK = sql("relay_park", "UPDATE outbox SET parked_reason = $2 WHERE id = $1");
const MEASURE = sql(
  "relay_measure",
  `SELECT count(*) AS waiting, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS age
   FROM outbox WHERE published_at IS NULL AND parked_reason IS NULL`,
);
const PRUNE_BATCH = 5_000;
const PRUNE = sql(
  "relay_prune",
  `DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE published_at < now() - interval '24 hours'
     ORDER BY published_at LIMIT ${PRUNE_BATCH}) RETURNING 1`,
);

/** Sends what waits, once; resolves with how many rows it saw. */
export type RelayRound = (options: RelayOptions) => Promise<number>;

/** Runs until `signal` aborts; resolves when the last batch is done or Kafka has had its time for it. */
export async function runRelay(options: RelayOptions, round: RelayRound = relayBatch): Promise<void> {
  const { clock, signal } = options;
  const chores = [
    relayUntilStopped(options, round),
    repeat(MEASURE_EVERY_MS, options, () => measure(options)),
    repeat(PRUNE_EVERY_MS, options, () => prune(options)),
  ];
  const stopped = new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  const enough = new AbortController();
  await Promise.race([Promise.all(chores), stopped.then(() => clock.sleep(STOP_GRACE_MS, enough.signal))]);
  enough.abort();
}

async function relayUntilStopped(options: RelayOptions, round: RelayRound): Promise<void> {
  const { db, clock, signal, log, metrics } = options;
  const wakeup = new Wakeup(clock);
  db.listen(OUTBOX_CHANNEL, () => wakeup.wake());
  let pauseMs = MIN_PAUSE_MS;
  while (!signal.aborted) {
    try {
      const sent = await round(options);
      pauseMs = MIN_PAUSE_MS;
      if (sent < BATCH) await wakeup.wait(IDLE_POLL_MS, signal);
    } catch (error) {
      metrics.sendErrors.inc({ error_type: error instanceof Error ? error.name : "unknown" });
      log.warn({ err: error }, "relay batch failed, trying again");
      await clock.sleep(pauseMs, signal);
      pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS);
    }
  }
}

/** The one right round: one relay at a time, and every row that waits. */
export async function relayBatch(options: RelayOptions): Promise<number> {
  const { db, holder, chunk, metrics } = options;
  const rows = await db.query<Row>(TAKE, holder, BATCH);
  const [first] = rows;
  if (first === undefined) return 0;
  await failpoint("relay.selected");
  const sent: Row[] = [];
  for (let start = 0; start < rows.length; start += chunk) {
    if (start > 0) await failpoint("relay.producedHalf");
    sent.push(...(await publish(rows.slice(start, start + chunk), options)));
  }
  await failpoint("relay.acked");
  const ids = sent.map(({ id }) => id);
  await db.query(MARK, ids, holder, first.epoch);
  await failpoint("relay.marked");
  for (const { topic } of sent) metrics.sent.inc({ messaging_system: "kafka", messaging_destination_name: topic });
  return rows.length;
}

/** The rows that Kafka has. It may refuse a batch for its size: halves find the row that it refuses alone, which is parked. */
async function publish(rows: readonly Row[], options: RelayOptions): Promise<readonly Row[]> {
  const { bus, db, log, metrics } = options;
  try {
    await Promise.all([bus.publish(rows.map(toEvent)), failpoint("relay.produceSent")]);
    return rows;
  } catch (error) {
    if (!(error instanceof RecordRejected)) throw error;
    const [row] = rows;
    if (row === undefined) return [];
    if (rows.length > 1) {
      const middle = Math.ceil(rows.length / 2);
      return [...(await publish(rows.slice(0, middle), options)), ...(await publish(rows.slice(middle), options))];
    }
    await db.query(PARK, row.id, error.message);
    metrics.parked.inc();
    log.error({ "mesh.event_id": row.event_id, "error.message": error.message }, "event parked: kafka refuses it");
    return [];
  }
}

export function toEvent(row: Row): OutboundEvent {
  const { event_id: id, topic, key, type, source, sequence, traceparent, data } = row;
  return { id, topic, key, type, source, sequence, timeMs: Number(row.time_ms), traceparent, data };
}

async function measure({ db, metrics }: RelayOptions): Promise<void> {
  const [row] = await db.query<{ waiting: bigint; age: number }>(MEASURE);
  metrics.waiting.set(Number(row?.waiting ?? 0n));
  metrics.oldestAge.set(row?.age ?? 0);
}

async function prune({ db }: RelayOptions): Promise<void> {
  while ((await db.query(PRUNE)).length === PRUNE_BATCH);
}

async function repeat(everyMs: number, { clock, signal }: RelayOptions, work: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await work().catch(() => undefined); // The next round tries again; the database's own metrics show the failure.
    await clock.sleep(everyMs, signal);
  }
}
