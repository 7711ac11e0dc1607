/** The notification process with a bug planted by its wiring; `argv[2]` names it. For tests of the judge. */
import { env } from "node:process";
import { type InboxPolicy, recordInbox } from "@ordermesh/events/inbox";
import { failpoint } from "@ordermesh/runtime/failpoints";
import { sql } from "@ordermesh/runtime/postgres";
import { runService } from "@ordermesh/runtime/service";
import { SETTINGS } from "../src/config.ts";
import { startNotification } from "../src/notification.ts";

const SEEN = sql("bug_inbox_seen", "SELECT event_id FROM inbox WHERE consumer = $1 AND event_id = ANY($2::uuid[])");

/** Looks before, records afterwards: a process that dies in between does the work twice. */
const inboxOutsideTransaction: InboxPolicy = async (db, consumer, events, handle) => {
  const ids = events.map(({ id }) => id);
  const seen = new Set((await db.query<{ event_id: string }>(SEEN, consumer, ids)).map(({ event_id }) => event_id));
  const fresh = events.filter(({ id }) => !seen.has(id));
  if (fresh.length === 0) return 0;
  await db.transaction((tx) => handle(fresh, tx));
  await failpoint("consumer.committed");
  await db.transaction((tx) => recordInbox(tx, consumer, fresh));
  return fresh.length;
};

const BUGS: Readonly<Record<string, Parameters<typeof startNotification>[1]>> = {
  "inbox-outside-transaction": { inbox: inboxOutsideTransaction },
  "auto-commit": { commit: "before-work" },
};

const bug = BUGS[process.argv[2] ?? ""];
if (bug === undefined) throw new Error(`name one of ${Object.keys(BUGS).join(", ")}`);
await runService(
  { name: "notification", settings: SETTINGS, start: (context) => startNotification(context, bug) },
  env,
);
