/** Sends the outbox to Kafka, one relay at a time for each database, in the order in which rows were written. */
import type { Clock } from "@ordermesh/mesh/clock";
import { failpoint } from "@ordermesh/runtime/failpoints";
import type { Logger } from "@ordermesh/runtime/log";
import { type Db, sql } from "@ordermesh/runtime/postgres";
import { Wakeup } from "@ordermesh/runtime/wakeup";
import type { OutboundEvent } from "./event.ts";
import { RecordRejected } from "./kafka.ts";
import type { EventMetrics } from "./metrics.ts";

const BATCH = 500;
const IDLE_POLL_MS = 1_000;
const ERROR_PAUSE_MS = 200;
const MEASURE_EVERY_MS = 2_000;
const PRUNE_EVERY_MS = 60_000;

/** What the relay needs of Kafka; `publish` resolves when all events are safe and rejects when that is not known. */
export type Publisher = { publish(events: readonly OutboundEvent[]): Promise<void> };

export type RelayOptions = {
  readonly db: Db;
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

type Row = {
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
const PRUNE = sql(
  "relay_prune",
  `DELETE FROM outbox WHERE id IN (
     SELECT id FROM outbox WHERE published_at < now() - interval '24 hours' ORDER BY published_at LIMIT 5000)`,
);

/** Runs until `signal` aborts; resolves when the last batch is done. */
export async function runRelay(options: RelayOptions): Promise<void> {
  const { db, clock, signal, log, metrics } = options;
  const wakeup = new Wakeup(clock);
  db.listen("outbox", () => wakeup.wake());
  const chores = repeat(MEASURE_EVERY_MS, options, () => measure(options));
  const pruning = repeat(PRUNE_EVERY_MS, options, async () => void (await db.query(PRUNE)));
  while (!signal.aborted) {
    try {
      const sent = await relayBatch(options);
      if (sent < BATCH) await wakeup.wait(IDLE_POLL_MS, signal);
    } catch (error) {
      metrics.sendErrors.inc({ error_type: error instanceof Error ? error.name : "unknown" });
      log.warn({ err: error }, "relay batch failed, trying again");
      await clock.sleep(ERROR_PAUSE_MS, signal);
    }
  }
  await Promise.all([chores, pruning]);
}

/** One round; resolves with how many rows it saw. */
export async function relayBatch(options: RelayOptions): Promise<number> {
  const { db, holder, chunk, metrics } = options;
  const rows = await db.query<Row>(TAKE, holder, BATCH);
  const [first] = rows;
  if (first === undefined) return 0;
  await failpoint("relay.selected");
  const sent: bigint[] = [];
  for (let start = 0; start < rows.length; start += chunk) {
    if (start > 0) await failpoint("relay.producedHalf");
    sent.push(...(await publish(rows.slice(start, start + chunk), options)));
  }
  await failpoint("relay.acked");
  await db.query(MARK, sent, holder, first.epoch);
  await failpoint("relay.marked");
  for (const { topic } of rows) metrics.sent.inc({ messaging_system: "kafka", messaging_destination_name: topic });
  return rows.length;
}

/** Ids of the rows that Kafka has. A row that it refuses is parked, and the others go on. */
async function publish(rows: readonly Row[], options: RelayOptions): Promise<bigint[]> {
  const { bus, db, log, metrics } = options;
  try {
    await Promise.all([bus.publish(rows.map(toEvent)), failpoint("relay.produceSent")]);
    return rows.map(({ id }) => id);
  } catch (error) {
    if (!(error instanceof RecordRejected)) throw error;
    const [row] = rows;
    if (rows.length > 1 || row === undefined) {
      const sent: bigint[] = [];
      for (const single of rows) sent.push(...(await publish([single], options)));
      return sent;
    }
    metrics.parked.inc();
    log.error({ "mesh.event_id": row.event_id, "error.message": error.message }, "event parked: kafka refuses it");
    await db.query(PARK, row.id, error.message);
    return [];
  }
}

function toEvent(row: Row): OutboundEvent {
  const { event_id: id, topic, key, type, source, sequence, traceparent, data } = row;
  return { id, topic, key, type, source, sequence, timeMs: Number(row.time_ms), traceparent, data };
}

async function measure({ db, metrics }: RelayOptions): Promise<void> {
  const [row] = await db.query<{ waiting: bigint; age: number }>(MEASURE);
  metrics.waiting.set(Number(row?.waiting ?? 0n));
  metrics.oldestAge.set(row?.age ?? 0);
}

async function repeat(everyMs: number, { clock, signal }: RelayOptions, work: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await work().catch(() => undefined); // The next round tries again; the database's own metrics show the failure.
    await clock.sleep(everyMs, signal);
  }
}
