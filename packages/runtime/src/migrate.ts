/** Brings a database to the schema of numbered SQL files; replicas may start together, and before the database. */
import { fileURLToPath } from "node:url";
import type { Clock } from "@ordermesh/mesh/clock";
import Postgrator from "postgrator";
import type { Logger } from "./log.ts";
import { isConnectionTrouble, isNotMadeYet, withConnection } from "./postgres.ts";

const RETRY_MS = 500;
const REPORT_EVERY_MS = 10_000;
/** Any number that nobody else locks with. */
const LOCK_ID = 7_215_001;

export type MigrateOptions = {
  readonly url: string;
  /** Folder of files named `001.do.create-orders.sql`. */
  readonly dir: URL;
  /** Table that remembers what was applied; one for each folder. */
  readonly table: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
};

/** Waits for the database as long as it takes. @throws when a migration fails, or when `signal` aborts first */
export async function migrate(options: MigrateOptions): Promise<void> {
  const { clock, log, signal, table } = options;
  let reportedMs = clock.nowMs();
  for (;;) {
    signal.throwIfAborted();
    const outcome = await apply(options).catch(toReason);
    if (typeof outcome === "number") {
      log.info({ "db.table": table, applied: outcome }, "database is at its newest schema");
      return;
    }
    if (clock.nowMs() - reportedMs >= REPORT_EVERY_MS) {
      log.warn({ reason: outcome }, "still waiting for the database");
      reportedMs = clock.nowMs();
    }
    await clock.sleep(RETRY_MS, signal);
  }
}

/** Why to wait. @throws what waiting cannot mend */
function toReason(error: unknown): string {
  if (!isConnectionTrouble(error) && !isNotMadeYet(error)) throw error;
  return error instanceof Error ? error.message : "unknown";
}

function apply({ url, dir, table }: MigrateOptions): Promise<number> {
  return withConnection(url, async (query) => {
    await query(`SELECT pg_advisory_lock(${LOCK_ID})`); // Ends with the connection.
    const migrations = await new Postgrator({
      driver: "pg",
      migrationPattern: `${fileURLToPath(dir)}*.sql`,
      schemaTable: table,
      currentSchema: "public",
      execQuery: query,
    }).migrate();
    return migrations.length;
  });
}
