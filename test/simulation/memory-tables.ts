/**
 * What a PostgreSQL server does with rows, in memory: transactions that see what is committed, row locks, unique keys,
 * sequences that no rollback takes back. READ COMMITTED: a statement reads as of its beginning, and what it changes it
 * changes in the newest version, after waiting for whoever holds it.
 */
import { type Row, type TableName, type Tables, UNIQUE } from "./tables.ts";

type Committed = Map<TableName, Map<string, Row>>;
/** By primary key; undefined is deleted. */
type Writes = Map<TableName, Map<string, Row | undefined>>;

/** A statement has to wait until this transaction has ended; it then runs again. */
export class Blocked {
  readonly by: Transaction;
  constructor(by: Transaction) {
    this.by = by;
  }
}

export class Transaction {
  readonly startedMs: number;
  readonly writes: Writes = new Map();
  readonly locks = new Set<string>();
  /** Called when it has ended, by those who wait for its locks. */
  readonly whenEnded: (() => void)[] = [];
  waitsFor: Transaction | undefined;
  hasEnded = false;

  constructor(startedMs: number) {
    this.startedMs = startedMs;
  }
}

export class MemoryTables {
  #committed: Committed = new Map();
  readonly #locks = new Map<string, Transaction>();
  readonly #sequences = new Map<TableName, bigint>();

  /** What is committed, in no particular order. */
  all<T extends TableName>(table: T): Tables[T][] {
    return [...this.committedRows(table).values()];
  }

  committedRows<T extends TableName>(table: T): ReadonlyMap<string, Tables[T]> {
    return (this.#committed.get(table) ?? new Map()) as ReadonlyMap<string, Tables[T]>;
  }

  /** What is committed now, for a statement that has to wait. */
  snapshot(): Committed {
    return new Map(Array.from(this.#committed, ([table, rows]) => [table, new Map(rows)]));
  }

  nextId(table: TableName): bigint {
    const id = (this.#sequences.get(table) ?? 0n) + 1n;
    this.#sequences.set(table, id);
    return id;
  }

  /** False when another transaction holds it. */
  tryLock(lock: string, transaction: Transaction): Transaction | undefined {
    const holder = this.#locks.get(lock);
    if (holder !== undefined && holder !== transaction) return holder;
    this.#locks.set(lock, transaction);
    transaction.locks.add(lock);
    return undefined;
  }

  commit(transaction: Transaction): void {
    for (const [table, writes] of transaction.writes)
      for (const [key, row] of writes) {
        if (row === undefined) this.#committed.get(table)?.delete(key);
        else this.#rowsOf(table).set(key, row);
      }
    this.#end(transaction);
  }

  rollback(transaction: Transaction): void {
    this.#end(transaction);
  }

  #rowsOf(table: TableName): Map<string, Row> {
    const known = this.#committed.get(table);
    if (known !== undefined) return known;
    const made = new Map<string, Row>();
    this.#committed.set(table, made);
    return made;
  }

  #end(transaction: Transaction): void {
    transaction.hasEnded = true;
    for (const lock of transaction.locks) this.#locks.delete(lock);
    for (const notice of transaction.whenEnded) notice();
  }
}

/** One statement's view of the tables. Its own changes are seen by later statements of its transaction, not by itself. */
export class View {
  readonly #tables: MemoryTables;
  readonly #transaction: Transaction;
  /** What was committed when the statement began; undefined as long as nothing can have changed since. */
  readonly #snapshot: Committed | undefined;
  readonly #writes: Writes = new Map();

  constructor(tables: MemoryTables, transaction: Transaction, snapshot: Committed | undefined) {
    this.#tables = tables;
    this.#transaction = transaction;
    this.#snapshot = snapshot;
  }

  /** SQL's now(): the beginning of the transaction. */
  get nowMs(): number {
    return this.#transaction.startedMs;
  }

  nextId(table: TableName): bigint {
    return this.#tables.nextId(table);
  }

  /** What a SELECT sees. */
  rows<T extends TableName>(table: T): Tables[T][] {
    const own = this.#transaction.writes.get(table) as Map<string, Tables[T] | undefined> | undefined;
    const seen = (this.#snapshot?.get(table) ?? this.#tables.committedRows(table)) as ReadonlyMap<string, Tables[T]>;
    if (own === undefined) return [...seen.values()];
    return [...new Map([...seen, ...own]).values()].filter((row): row is Tables[T] => row !== undefined);
  }

  find<T extends TableName>(table: T, isWanted: (row: Tables[T]) => boolean): Tables[T] | undefined {
    return this.rows(table).find(isWanted);
  }

  /** INSERT … ON CONFLICT DO NOTHING; false when it did nothing. */
  insert<T extends TableName>(table: T, row: Tables[T]): boolean {
    const keys = UNIQUE[table].map((keyOf) => keyOf(row));
    for (const [index, key] of keys.entries()) this.#lock(`${table} ${index} ${key}`);
    const [primary = ""] = keys;
    const isTaken =
      this.#newest(table, primary) !== undefined ||
      UNIQUE[table]
        .slice(1)
        .some((keyOf, index) => this.#newestRows(table).some((other) => keyOf(other) === keys[index + 1]));
    if (!isTaken) this.#write(table, primary, row);
    return !isTaken;
  }

  /** UPDATE … WHERE; resolves with the rows as they are then. `where` is asked again for a row that has changed meanwhile. */
  update<T extends TableName>(
    table: T,
    where: (row: Tables[T]) => boolean,
    change: (row: Tables[T]) => Tables[T],
  ): Tables[T][] {
    return this.lock(table, where).map((row) => this.#write(table, UNIQUE[table][0](row), change(row)));
  }

  /** INSERT … ON CONFLICT DO UPDATE; `change` gives undefined for a row that is to stay. Gives what was written. */
  upsert<T extends TableName>(
    table: T,
    row: Tables[T],
    change: (row: Tables[T]) => Tables[T] | undefined,
  ): Tables[T] | undefined {
    const key = UNIQUE[table][0](row);
    this.#lock(`${table} 0 ${key}`);
    const newest = this.#newest(table, key);
    const wanted = newest === undefined ? row : change(newest);
    return wanted === undefined ? undefined : this.#write(table, key, wanted);
  }

  delete<T extends TableName>(table: T, where: (row: Tables[T]) => boolean): number {
    const rows = this.lock(table, where);
    for (const row of rows) this.#write(table, UNIQUE[table][0](row), undefined);
    return rows.length;
  }

  /** SELECT … FOR UPDATE: the newest versions of the rows. */
  lock<T extends TableName>(table: T, where: (row: Tables[T]) => boolean): Tables[T][] {
    return this.rows(table)
      .filter(where)
      .flatMap((row) => {
        const key = UNIQUE[table][0](row);
        this.#lock(`${table} 0 ${key}`);
        const newest = this.#newest(table, key);
        return newest !== undefined && where(newest) ? [newest] : [];
      });
  }

  /** SELECT … ORDER BY … LIMIT … FOR UPDATE SKIP LOCKED. */
  lockFree<T extends TableName>(
    table: T,
    where: (row: Tables[T]) => boolean,
    order: (row: Tables[T]) => number,
    limit: number,
  ): Tables[T][] {
    const locked: Tables[T][] = [];
    for (const row of this.rows(table)
      .filter(where)
      .toSorted((a, b) => order(a) - order(b))) {
      const key = UNIQUE[table][0](row);
      if (locked.length === limit) break;
      if (this.#tables.tryLock(`${table} 0 ${key}`, this.#transaction) !== undefined) continue;
      const newest = this.#newest(table, key);
      if (newest !== undefined && where(newest)) locked.push(newest);
    }
    return locked;
  }

  /** Makes what the statement has changed part of its transaction. */
  done(): void {
    for (const [table, writes] of this.#writes) {
      const own = this.#transaction.writes.get(table) ?? new Map();
      for (const [key, row] of writes) own.set(key, row);
      this.#transaction.writes.set(table, own);
    }
  }

  /** @throws Blocked */
  #lock(lock: string): void {
    const holder = this.#tables.tryLock(lock, this.#transaction);
    if (holder !== undefined) throw new Blocked(holder);
  }

  #newest<T extends TableName>(table: T, key: string): Tables[T] | undefined {
    for (const writes of [this.#writes, this.#transaction.writes]) {
      const own = writes.get(table);
      if (own?.has(key)) return own.get(key) as Tables[T] | undefined;
    }
    return this.#tables.committedRows(table).get(key);
  }

  #newestRows<T extends TableName>(table: T): Tables[T][] {
    const keys = new Set(this.#tables.committedRows(table).keys());
    for (const writes of [this.#writes, this.#transaction.writes])
      for (const key of writes.get(table)?.keys() ?? []) keys.add(key);
    return [...keys].flatMap((key) => this.#newest(table, key) ?? []);
  }

  #write<T extends TableName, R extends Tables[T] | undefined>(table: T, key: string, row: R): R {
    const writes = this.#writes.get(table) ?? new Map();
    this.#writes.set(table, writes.set(key, row));
    return row;
  }
}
