/** What PostgreSQL lets a service's own user do to the service's connections. */
import { Db, sql } from "@ordermesh/runtime/postgres";
import type { ServiceContext } from "@ordermesh/runtime/service";
import type { SETTINGS } from "./config.ts";

const END_OTHERS = sql(
  "endOthers",
  `SELECT count(pg_terminate_backend(pid))::int AS ended FROM pg_stat_activity
   WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()`,
);

/** Resolves with how many there were. @throws MeshError unavailable DATABASE_UNAVAILABLE */
export async function endConnections(url: string, context: ServiceContext<typeof SETTINGS>): Promise<number> {
  const { log, metrics, clock, random } = context;
  const db = new Db({ url, poolSize: 1, log, metrics, clock, random });
  try {
    const [row] = await db.query<{ ended: number }>(END_OTHERS);
    return row?.ended ?? 0;
  } finally {
    await db.close();
  }
}
