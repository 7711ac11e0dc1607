/** Handles events once: the inbox rows are part of the transaction that has the events' effects. */
import { failpoint } from "@ordermesh/runtime/failpoints";
import { type Database, sql, type Tx } from "@ordermesh/runtime/postgres";
import type { InboundEvent } from "./event.ts";

/** Applies the effects of events, in order and set-based where it can. @throws PoisonEvent when an event can never be handled */
export type Handle = (events: readonly InboundEvent[], tx: Tx) => Promise<void>;

/** Makes sure that each event has its effects once; resolves with how many were new. */
export type InboxPolicy = (
  db: Database,
  consumer: string,
  events: readonly InboundEvent[],
  handle: Handle,
) => Promise<number>;

const RECORD = sql(
  "inbox_record",
  `INSERT INTO inbox (consumer, event_id, topic, key, sequence)
   SELECT $1, event_id, topic, key, sequence
   FROM unnest($2::uuid[], $3::text[], $4::text[], $5::bigint[]) WITH ORDINALITY AS t(event_id, topic, key, sequence, position)
   ORDER BY position ON CONFLICT DO NOTHING RETURNING event_id`,
);
const PRUNE_BATCH = 5_000;
const PRUNE = sql(
  "inbox_prune",
  `DELETE FROM inbox WHERE ctid = ANY (ARRAY(
     SELECT ctid FROM inbox WHERE handled_at < now() - interval '8 days' ORDER BY handled_at LIMIT ${PRUNE_BATCH})) RETURNING 1`,
);

/** The one right policy: what was seen and what it did are committed together, or neither is. */
export const inboxInTransaction: InboxPolicy = (db, consumer, events, handle) =>
  db.transaction(async (tx) => {
    const fresh = await recordInbox(tx, consumer, events);
    if (fresh.length === 0) return 0;
    await failpoint("consumer.inboxInserted");
    await handle(fresh, tx);
    await failpoint("consumer.handled");
    return fresh.length;
  });

/** Inserts the events' inbox rows and gives those events that were not there before, each once. */
export async function recordInbox(tx: Tx, consumer: string, events: readonly InboundEvent[]): Promise<InboundEvent[]> {
  const column = <T>(pick: (event: InboundEvent) => T) => events.map(pick);
  const rows = await tx.query<{ event_id: string }>(
    RECORD,
    consumer,
    column(({ id }) => id),
    column(({ topic }) => topic),
    column(({ key }) => key),
    column(({ sequence }) => sequence),
  );
  const recorded = new Set(rows.map(({ event_id }) => event_id));
  return events.filter(({ id }) => recorded.delete(id));
}

/** Forgets what Kafka itself has forgotten: topics keep events for seven days. */
export async function pruneInbox(db: Database): Promise<void> {
  while ((await db.query(PRUNE)).length === PRUNE_BATCH);
}
