/**
 * A database of one service in memory, behind the same port as PostgreSQL. The server outlives the processes that use it:
 * a statement that was sent is done although its process died, and an open transaction of a dead process is rolled back.
 */
import { MeshError } from "@ordermesh/mesh/errors";
import type { Database, Statement, Tx } from "@ordermesh/runtime/postgres";
import { Blocked, MemoryTables, Transaction, View } from "./memory-tables.ts";
import type { Network } from "./network.ts";
import type { Scheduler, SimulatedProcess } from "./scheduler.ts";
import type { Statements } from "./statements/statements.ts";

/** By then a commit that was on its way at its process's death has arrived, or never will. */
const COMMIT_ARRIVED_MS = 10_000;

type Outcome = { readonly rows: readonly object[] } | { readonly error: unknown };
type Listener = { readonly owner: SimulatedProcess; readonly onNotify: (payload: string) => void };

export class MemoryServer {
  readonly tables = new MemoryTables();
  readonly #statements: Statements;
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor(statements: Statements, scheduler: Scheduler, network: Network) {
    this.#statements = statements;
    this.#scheduler = scheduler;
    this.#network = network;
  }

  begin(): Transaction {
    return new Transaction(this.#scheduler.nowMs);
  }

  /** Calls back as soon as the statement has run; it may have to wait for other transactions before. */
  execute(transaction: Transaction, { name }: Statement, values: unknown[], done: (outcome: Outcome) => void): void {
    const run = this.#statements[name];
    if (run === undefined) throw new Error(`the statement ${name} is not known in memory`);
    let snapshot: ReturnType<MemoryTables["snapshot"]> | undefined;
    const attempt = () => {
      if (transaction.hasEnded) return done({ error: unavailable() });
      const view = new View(this.tables, transaction, snapshot);
      try {
        const rows = run(view, values);
        view.done();
        done({ rows });
      } catch (error) {
        if (!(error instanceof Blocked)) return done({ error });
        snapshot ??= this.tables.snapshot();
        if (waitsFor(error.by, transaction)) return done({ error: deadlock() });
        transaction.waitsFor = error.by;
        error.by.whenEnded.push(() => {
          transaction.waitsFor = undefined;
          this.#scheduler.at(this.#network.shortMs(), undefined, `${name} goes on`, attempt);
        });
      }
    };
    attempt();
  }

  commit(transaction: Transaction): void {
    if (!transaction.hasEnded) this.tables.commit(transaction);
  }

  rollback(transaction: Transaction): void {
    if (!transaction.hasEnded) this.tables.rollback(transaction);
  }

  listen(channel: string, listener: Listener): void {
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(listener));
    listener.owner.onCrash(() => listeners.delete(listener));
  }

  notify(channel: string, payload: string): void {
    for (const { owner, onNotify } of this.#listeners.get(channel) ?? [])
      if (!this.#network.isNotificationLost())
        this.#scheduler.at(this.#network.delayMs(), owner, `notified ${channel}`, () => onNotify(payload));
  }
}

/** The connections of one process to its server. */
export class MemoryDatabase implements Database {
  readonly #server: MemoryServer;
  readonly #owner: SimulatedProcess;
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  /** There is always a connection. */
  readonly waiting = 0;

  constructor(server: MemoryServer, owner: SimulatedProcess, scheduler: Scheduler, network: Network) {
    this.#server = server;
    this.#owner = owner;
    this.#scheduler = scheduler;
    this.#network = network;
  }

  async query<Row>(statement: Statement, ...values: unknown[]): Promise<Row[]> {
    const transaction = this.#server.begin();
    return (await this.#send(statement.name, (reply) => {
      this.#server.execute(transaction, statement, values, (outcome) => {
        if ("error" in outcome) {
          this.#server.rollback(transaction);
          return reply(outcome);
        }
        const commit = () => {
          this.#server.commit(transaction);
          reply(outcome);
        };
        // Others do not see the rows before the commit is on disk, but ids are given and locks held meanwhile.
        const commitMs = this.#network.commitMs();
        if (commitMs === 0) commit();
        else this.#scheduler.at(commitMs, undefined, `${statement.name} committed`, commit);
      });
    })) as Row[];
  }

  async transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const transaction = this.#server.begin();
    const notifications: [string, string][] = [];
    const rollback = () => this.#server.rollback(transaction);
    let isCommitting = false;
    this.#owner.onCrash(() => {
      const delayMs = isCommitting ? COMMIT_ARRIVED_MS : this.#network.delayMs();
      if (!transaction.hasEnded) this.#scheduler.at(delayMs, undefined, "rollback of the dead", rollback);
    });
    const tx: Tx = {
      notify: (channel, payload = "") => notifications.push([channel, payload]),
      query: async <Row>(statement: Statement, ...values: unknown[]) =>
        (await this.#send(statement.name, (reply) =>
          this.#server.execute(transaction, statement, values, reply),
        )) as Row[],
    };
    try {
      const result = await work(tx);
      isCommitting = true;
      if (transaction.writes.size === 0)
        this.#server.commit(transaction); // Nobody can tell when.
      else
        await this.#send("commit", (reply) => {
          if (transaction.hasEnded) return reply({ error: unavailable() });
          this.#server.commit(transaction);
          reply({ rows: [] });
        });
      for (const [channel, payload] of notifications) this.notify(channel, payload);
      return result;
    } catch (error) {
      rollback();
      throw error;
    }
  }

  notify(channel: string, payload = ""): void {
    this.#server.notify(channel, payload);
  }

  listen(channel: string, onNotify: (payload: string) => void): void {
    this.#server.listen(channel, { owner: this.#owner, onNotify });
    onNotify("");
  }

  /** Sends something to the server and waits for its reply; either may be lost, which looks the same from here. */
  #send(name: string, serve: (reply: (outcome: Outcome) => void) => void): Promise<readonly object[]> {
    const fate = this.#network.databaseFate();
    const { promise, resolve, reject } = Promise.withResolvers<readonly object[]>();
    const owner = this.#owner;
    const answer = (outcome: Outcome) =>
      this.#scheduler.at(this.#network.delayMs(), owner, `${name} answered`, () => {
        if ("error" in outcome) reject(outcome.error);
        else resolve(outcome.rows);
      });
    if (fate === "request-lost") {
      answer({ error: unavailable() });
    } else {
      const reply = (outcome: Outcome) => answer(fate === "reply-lost" ? { error: unavailable() } : outcome);
      this.#scheduler.at(this.#network.delayMs(), undefined, `${owner.name} ${name}`, () => serve(reply));
    }
    return promise;
  }
}

/** Whether `transaction` waits, perhaps through others, for `other`. */
function waitsFor(transaction: Transaction, other: Transaction): boolean {
  for (let at: Transaction | undefined = transaction; at !== undefined; at = at.waitsFor) if (at === other) return true;
  return false;
}

function unavailable(): MeshError {
  return new MeshError("unavailable", "DATABASE_UNAVAILABLE", "the database did not answer");
}

function deadlock(): MeshError {
  return new MeshError("conflict", "DATABASE_CONFLICT", "another transaction was in the way");
}
