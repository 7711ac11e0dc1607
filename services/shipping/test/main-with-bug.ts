/** The shipping process with a bug planted by its wiring; `argv[2]` names it. For tests of the judge. */
import { env } from "node:process";
import { type RelayRound, type Row, toEvent } from "@ordermesh/events/relay";
import { failpoint } from "@ordermesh/runtime/failpoints";
import { sql } from "@ordermesh/runtime/postgres";
import { runService } from "@ordermesh/runtime/service";
import { SETTINGS } from "../src/config.ts";
import { startShipping } from "../src/shipping.ts";

const BATCH = 500;
/** A batch that holds one event may hold the last of its order, which nothing can overtake. */
const LOOK_MS = 1_000;
const COLUMNS = "id, event_id, topic, key, type, source, sequence, time_ms, traceparent, data";
const LOCK = sql(
  "bug_relay_lock",
  `SELECT ${COLUMNS} FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED`,
);
const LAST = sql("bug_relay_last", "SELECT coalesce(max(id), 0) AS id FROM outbox WHERE published_at IS NOT NULL");
const AFTER = sql("bug_relay_after", `SELECT ${COLUMNS} FROM outbox WHERE id > $1 ORDER BY id LIMIT $2`);
const MARK = sql("bug_relay_mark", "UPDATE outbox SET published_at = now() WHERE id = ANY($1::bigint[])");

const idsOf = (rows: readonly Row[]) => rows.map(({ id }) => id);

/** As many relays as there are processes: each looks once a second, takes the rows that no other has, and overtakes the one that is slow. */
const relayWithoutLease: RelayRound = async ({ db, bus, clock, signal }) => {
  await clock.sleep(LOOK_MS, signal);
  return await db.transaction(async (tx) => {
    const rows = await tx.query<Row>(LOCK, BATCH);
    if (rows.length === 0) return 0;
    await failpoint("relay.selected");
    await bus.publish(rows.map(toEvent));
    await tx.query(MARK, idsOf(rows));
    return rows.length;
  });
};

/** Keeps in mind how far it came: a row with a lower id that is committed later is never seen. */
function relayAfterLastId(): RelayRound {
  let last: bigint | undefined;
  return async ({ db, bus }) => {
    last ??= (await db.query<{ id: bigint }>(LAST))[0]?.id ?? 0n;
    const rows = await db.query<Row>(AFTER, last, BATCH);
    if (rows.length === 0) return 0;
    await bus.publish(rows.map(toEvent));
    await db.query(MARK, idsOf(rows));
    last = rows.at(-1)?.id ?? last;
    return rows.length;
  };
}

const BUGS: Readonly<Record<string, RelayRound>> = {
  "relay-without-lease": relayWithoutLease,
  "relay-after-last-id": relayAfterLastId(),
};

const bug = BUGS[process.argv[2] ?? ""];
if (bug === undefined) throw new Error(`name one of ${Object.keys(BUGS).join(", ")}`);
await runService({ name: "shipping", settings: SETTINGS, start: (context) => startShipping(context, bug) }, env);
