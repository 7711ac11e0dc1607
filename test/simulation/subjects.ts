/** The two things that the contract of the statements is held against: PostgreSQL with the migrations, and rows in memory. */
import type { TestContext } from "node:test";
import { EVENTS_MIGRATIONS, EVENTS_TABLE } from "@ordermesh/events/outbox";
import { openDatabase } from "@ordermesh/local/under-test";
import { type Clock, systemClock } from "@ordermesh/mesh/clock";
import { type Database, sql } from "@ordermesh/runtime/postgres";
import { Chance } from "./chance.ts";
import { MemoryDatabase } from "./memory-database.ts";
import { Network, NO_FAULTS } from "./network.ts";
import type { ServiceName } from "./processes.ts";
import { newServer } from "./run.ts";
import { Scheduler, SimulatedProcess } from "./scheduler.ts";
import { seedTables } from "./seed-tables.ts";
import { type TableName, UNIQUE } from "./tables.ts";

export type Subject = {
  readonly db: Database;
  readonly clock: Clock;
  /** Lets time pass until `work` is done. */
  readonly complete: <T>(work: Promise<T>) => Promise<T>;
  /** Lets what was begun go on until so many statements wait for a lock. */
  readonly untilWaiting: (statements: number) => Promise<void>;
  /** Makes every time in the tables that much older. */
  readonly age: (ms: number) => Promise<void>;
  /** Rows without times and generated ids, in the order of these. */
  readonly dump: (table: TableName) => Promise<readonly object[]>;
};

const SERVICE_OF: Readonly<Record<TableName, ServiceName>> = {
  orders: "order",
  idempotency: "order",
  saga_log: "order",
  outbox: "order",
  relay_lease: "order",
  inbox: "order",
  products: "inventory",
  stock: "inventory",
  reservations: "inventory",
  payments: "payment",
  ledger: "payment",
  shipments: "shipping",
  messages: "notification",
  deliveries: "notification",
};
const TIMES: Partial<Record<TableName, readonly string[]>> = {
  orders: ["lease_until", "placed_at", "updated_at"],
  idempotency: ["created_at"],
  saga_log: ["at"],
  outbox: ["created_at", "published_at"],
  relay_lease: ["ends_at"],
  inbox: ["handled_at"],
  payments: ["updated_at"],
  ledger: ["at"],
  shipments: ["due_at", "updated_at"],
  messages: ["queued_at", "claimed_until", "sent_at"],
  deliveries: ["at"],
};
const SCHEMAS: Partial<Record<TableName, string>> = { ledger: "provider.ledger", deliveries: "mailbox.deliveries" };
/** Random, different in both. */
const GENERATED = new Set(["id", "event_id", "notification_id", "time_ms", "traceparent", "data"]);
const WAITING = sql(
  "contract_waiting",
  "SELECT count(*) AS waiting FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
);
/** Pieces that the migrations of inventory put in stock. */
const CATALOGUE = Object.fromEntries(
  ["CABLE-1", "CAP-1", "LAMP-1", "MUG-1", "NOTE-1", "PEN-1", "PLANT-1", "POSTER-1", "SOCKS-1", "TOTE-1"].map((sku) => [
    sku,
    1_000_000,
  ]),
);
/** Without it a lease can end in PostgreSQL by real time alone, on a machine with much to do, and in memory it does not. */
const SLOW_CLOCK = new URL("./slow-clock/", import.meta.url);
const POLL_MS = 5;
const PATIENCE_MS = 30_000;

export const TABLES = Object.keys(UNIQUE) as TableName[];

/** Whether a table is there with the service's migrations. */
export function isOf(table: TableName, service: ServiceName): boolean {
  const isEvents = ["outbox", "relay_lease", "inbox"].includes(table);
  return SERVICE_OF[table] === service || (isEvents && (service === "shipping" || service === "notification"));
}

export async function openPostgres(t: TestContext, service: ServiceName): Promise<Subject> {
  const own = new URL(`../../services/${service}/migrations/`, import.meta.url);
  const { db } = await openDatabase(t, [
    { dir: EVENTS_MIGRATIONS, table: EVENTS_TABLE },
    { dir: own, table: `${service}_migrations` },
    { dir: SLOW_CLOCK, table: "slow_clock_migrations" },
  ]);
  const tables = TABLES.filter((table) => isOf(table, service));
  const nameOf = (table: TableName) => SCHEMAS[table] ?? table;
  return {
    db,
    clock: systemClock,
    complete: (work) => work,
    async untilWaiting(waiting) {
      for (const endsMs = systemClock.nowMs() + PATIENCE_MS; ; await systemClock.sleep(POLL_MS)) {
        const [row] = await db.query<{ waiting: bigint }>(WAITING);
        if (Number(row?.waiting) === waiting) return;
        if (systemClock.nowMs() > endsMs) throw new Error(`${row?.waiting} statements wait, not ${waiting}`);
      }
    },
    async age(ms) {
      for (const table of tables.filter((name) => name !== "ledger")) {
        const sets = (TIMES[table] ?? []).map((column) => `${column} = ${column} - interval '${ms} milliseconds'`);
        if (sets.length > 0)
          await db.query(sql(`contract_age_${table}_${ms}`, `UPDATE ${nameOf(table)} SET ${sets.join(", ")}`));
      }
    },
    async dump(table) {
      const rows = await db.query<object>(sql(`contract_dump_${table}`, `SELECT * FROM ${nameOf(table)}`));
      return comparable(table, rows);
    },
  };
}

/** `service` only names the process: a server in memory has all tables. */
export async function openMemory(service: ServiceName): Promise<Subject> {
  const scheduler = new Scheduler({ intercept: () => false });
  const network = new Network(new Chance(1), NO_FAULTS);
  const server = newServer(scheduler, network, undefined);
  seedTables(server, { ...CATALOGUE, "GONE-1": 0, "SCARCE-1": 25 });
  const process = new SimulatedProcess(service);
  const goOn = () => scheduler.run(() => false);
  return {
    db: new MemoryDatabase(server, process, scheduler, network),
    clock: scheduler.clockOf(process),
    async complete(work) {
      let isDone = false;
      const watched = work.finally(() => {
        isDone = true;
      });
      watched.catch(() => undefined); // Whoever gets it sees it.
      for (; !isDone; await new Promise((resolve) => setImmediate(resolve))) await goOn();
      return await watched;
    },
    untilWaiting: goOn,
    age: (ms) => scheduler.clockOf(process).sleep(ms),
    dump: async (table) => comparable(table, server.tables.all(table)),
  };
}

/** As the judge, a reader of a log looks at the order of ids, whatever they are. */
function comparable(table: TableName, rows: readonly object[]): readonly object[] {
  const hidden = new Set([...GENERATED, ...(TIMES[table] ?? [])]);
  const isLog = ["outbox", "inbox", "ledger"].includes(table);
  const shown = rows.map((row) => {
    const entries = Object.entries(row).map(([name, value]) => {
      if (name === "id") return ["id", isLog ? value : 0n] as const;
      if (name === "published_at" || name === "sent_at") return [`${name} is set`, value !== null] as const;
      return [name, value] as const;
    });
    return Object.fromEntries(entries) as Record<string, unknown>;
  });
  const order = (row: Record<string, unknown>) => (isLog ? Number(row.id) : 0);
  const text = (row: Record<string, unknown>) =>
    JSON.stringify(row, (_, value) => (typeof value === "bigint" ? `${value}` : value));
  return shown
    .map((row) => ({
      at: order(row),
      row: Object.fromEntries(Object.entries(row).filter(([name]) => !hidden.has(name))),
    }))
    .map(({ at, row }) => ({ at, row, key: text(row) }))
    .toSorted((a, b) => a.at - b.at || (a.key < b.key ? -1 : 1))
    .map(({ row }) => row);
}
