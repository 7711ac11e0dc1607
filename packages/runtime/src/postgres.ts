/** PostgreSQL: a pool of prepared statements, transactions and notifications. The only file that imports pg. */
import { type Clock, jitter, type Random } from "@ordermesh/mesh/clock";
import { MeshError } from "@ordermesh/mesh/errors";
import pg from "pg";
import type { Logger } from "./log.ts";
import type { Metrics } from "./metrics.ts";

/** A statement that is prepared once on each connection; the name also labels its metric. */
export type Statement = { readonly name: string; readonly text: string };

export function sql(name: string, text: string): Statement {
  return { name, text };
}

export type Tx = {
  /**
   * int8 comes as bigint, timestamptz as Date.
   * @throws MeshError unavailable DATABASE_UNAVAILABLE, conflict DATABASE_CONFLICT; other failures as pg gives them
   */
  query<Row>(statement: Statement, ...values: unknown[]): Promise<Row[]>;
  /** Tells those who listen on `channel`, after the commit if this is a transaction. */
  notify(channel: string, payload?: string): void;
};

/** What code that keeps its state in PostgreSQL needs of it. */
export type Database = Tx & {
  /** Statements and transactions that wait for a connection. */
  readonly waiting: number;
  /** Commits when `work` resolves and rolls back when it rejects. Nothing but statements belongs inside. */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /**
   * Calls `onNotify` for every notification on `channel`, and after every reconnect, as notifications may have been missed.
   * The payload is empty then. Returns at once and reconnects until the database is closed.
   */
  listen(channel: string, onNotify: (payload: string) => void): void;
};

const CONNECT_TIMEOUT_MS = 3_000;
const STATEMENT_TIMEOUT_MS = 5_000;
const IDLE_IN_TRANSACTION_MS = 10_000;
/** A new connection costs the server a process, a password exchange and all plans anew: after pg's 10 s every lull would. */
const IDLE_CONNECTION_MS = 300_000;
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;
const INT8_OID = 20;

/**
 * Sent by itself and committed asynchronously: a NOTIFY makes its transaction hold a lock of the whole server until its
 * commit is on disk, so that within the transactions that it tells of it would make all of them wait for each other.
 */
const NOTIFY = sql(
  "notify",
  `SELECT set_config('synchronous_commit', 'off', true), pg_notify(channel, payload)
   FROM unnest($1::text[], $2::text[]) AS n(channel, payload)`,
);

export type DbOptions = {
  readonly url: string;
  readonly poolSize: number;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: Random;
};

export class Db implements Database {
  readonly #options: DbOptions;
  readonly #pool: pg.Pool;
  readonly #closing = new AbortController();
  /** Channel to payloads that wait to be sent. */
  #notifications = new Map<string, Set<string>>();
  #isNotifying = false;

  /** Connects lazily: the server may still be starting. */
  constructor(options: DbOptions) {
    this.#options = options;
    this.#pool = new pg.Pool({
      ...connectionOptions(options.url),
      max: options.poolSize,
      idleTimeoutMillis: IDLE_CONNECTION_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    });
    // Without a listener an idle connection that breaks would end the process.
    this.#pool.on("error", () => options.metrics.dbErrors.inc({ error_type: "idle_connection" }));
  }

  get waiting(): number {
    return this.#pool.waitingCount;
  }

  query<Row>(statement: Statement, ...values: unknown[]): Promise<Row[]> {
    return this.#measure(statement.name, async () => {
      const client = await this.#pool.connect();
      return this.#withClient(client, async (discard) => {
        try {
          return (await client.query({ ...statement, values })).rows as Row[];
        } catch (error) {
          // Not after every error, as pool.query does: a violated constraint costs no connection.
          if (isConnectionTrouble(error)) discard();
          throw error;
        }
      });
    });
  }

  async transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const client = await this.#measure("connect", () => this.#pool.connect());
    const run = (name: string, text: string) => this.#measure(name, () => client.query(text));
    const notifications: [string, string][] = [];
    return this.#withClient(client, async (discard) => {
      try {
        await run("begin", "BEGIN");
        const result = await work({
          notify: (channel, payload = "") => notifications.push([channel, payload]),
          query: <Row>(statement: Statement, ...values: unknown[]) =>
            this.#measure(statement.name, async () => (await client.query({ ...statement, values })).rows as Row[]),
        });
        await run("commit", "COMMIT");
        for (const [channel, payload] of notifications) this.notify(channel, payload);
        return result;
      } catch (error) {
        await run("rollback", "ROLLBACK").catch(discard);
        throw error;
      }
    });
  }

  /**
   * Returns at once; what comes while others are being sent goes with the next ones. A notification may be lost with the
   * process or the connection, so listeners look for themselves now and then.
   */
  notify(channel: string, payload = ""): void {
    this.#notifications.set(channel, (this.#notifications.get(channel) ?? new Set()).add(payload));
    if (!this.#isNotifying) void this.#sendNotifications();
  }

  listen(channel: string, onNotify: (payload: string) => void): void {
    void this.#listen(channel, onNotify);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#pool.end();
  }

  async #sendNotifications(): Promise<void> {
    this.#isNotifying = true;
    while (this.#notifications.size > 0 && !this.#closing.signal.aborted) {
      const pairs = [...this.#notifications].flatMap(([channel, payloads]) =>
        [...payloads].map((payload) => [channel, payload]),
      );
      this.#notifications = new Map();
      const column = (index: number) => pairs.map((pair) => pair[index]);
      await this.query(NOTIFY, column(0), column(1)).catch(() => undefined); // Listeners look for themselves.
    }
    this.#isNotifying = false;
  }

  async #listen(channel: string, onNotify: (payload: string) => void): Promise<void> {
    const { clock, random, url, log } = this.#options;
    const { signal } = this.#closing;
    let backoffMs = MIN_BACKOFF_MS;
    while (!signal.aborted) {
      const client = new pg.Client(connectionOptions(url));
      const ended = new Promise<void>((resolve) => {
        client.on("error", () => resolve());
        client.on("end", () => resolve());
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
      client.on("notification", ({ payload }) => onNotify(payload ?? ""));
      try {
        await client.connect();
        await client.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
        backoffMs = MIN_BACKOFF_MS;
        onNotify("");
        await ended;
      } catch {
        log.debug({ "db.channel": channel }, "cannot listen yet");
      }
      await client.end().catch(() => undefined);
      await clock.sleep(jitter(backoffMs, 0.2, random), signal);
      backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS);
    }
  }

  /** Gives `client` back to the pool after `work`, which may `discard` it; a connection that broke meanwhile is discarded too. */
  async #withClient<T>(client: pg.PoolClient, work: (discard: () => void) => Promise<T>): Promise<T> {
    let isBroken = false;
    const discard = () => {
      isBroken = true;
    };
    // The pool listens to idle connections only; one that breaks between two statements would end the process.
    client.on("error", discard);
    try {
      return await work(discard);
    } finally {
      client.off("error", discard);
      client.release(isBroken);
    }
  }

  async #measure<T>(name: string, work: () => Promise<T>): Promise<T> {
    const { metrics, clock } = this.#options;
    const startedMs = clock.nowMs();
    try {
      return await work();
    } catch (error) {
      throw translate(error, metrics);
    } finally {
      metrics.dbOperations.observe(
        { db_system_name: "postgresql", db_operation_name: name },
        (clock.nowMs() - startedMs) / 1_000,
      );
      metrics.dbConnections.set({ state: "open" }, this.#pool.totalCount);
      metrics.dbConnections.set({ state: "waiting" }, this.#pool.waitingCount);
    }
  }
}

/** The name of the constraint that a statement violated, or undefined when that is not why it failed. */
export function constraintOf(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.constraint : undefined;
}

/** A connection without a statement time-out, for migrations; `work` may take as long as it needs. */
export async function withConnection<T>(
  url: string,
  work: (query: (text: string) => Promise<{ rows: unknown[] }>) => Promise<T>,
): Promise<T> {
  const client = new pg.Client(connectionOptions(url));
  client.on("error", () => undefined); // The statement that is running reports it.
  try {
    await client.connect();
    return await work((text) => client.query(text));
  } finally {
    await client.end().catch(() => undefined);
  }
}

/**
 * True when the database could not be reached, is starting or stopping, or ended a connection that was idle in its transaction
 * for too long, or when our pool has ended: trying again makes sense, here or at another instance.
 */
export function isConnectionTrouble(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof pg.DatabaseError) return /^(08|53|57P|25P)/.test(error.code ?? "");
  return "code" in error || /terminated|timeout|not queryable|connection error|after calling end/i.test(error.message);
}

/** True when the server is there, and the role or the database is not: whoever makes them may come later. */
export function isNotMadeYet(error: unknown): boolean {
  return error instanceof pg.DatabaseError && ["3D000", "28000", "28P01"].includes(error.code ?? "");
}

function connectionOptions(url: string): pg.ClientConfig {
  const types = new pg.TypeOverrides();
  types.setTypeParser(INT8_OID, (value: string) => BigInt(value));
  return { connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true, types };
}

function translate(error: unknown, metrics: Metrics): unknown {
  const sqlState = error instanceof pg.DatabaseError ? (error.code ?? "unknown") : "connection";
  metrics.dbErrors.inc({ error_type: sqlState });
  if (sqlState === "40001" || sqlState === "40P01")
    return new MeshError("conflict", "DATABASE_CONFLICT", "another transaction was in the way", { cause: error });
  if (sqlState === "57014" || isConnectionTrouble(error))
    return new MeshError("unavailable", "DATABASE_UNAVAILABLE", "the database did not answer", { cause: error });
  return error;
}
