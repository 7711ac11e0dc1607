/** The contract of every SQL statement that the simulator runs on rows in memory, held against PostgreSQL. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { inboxInTransaction } from "@ordermesh/events/inbox";
import { Stock } from "@ordermesh/inventory/stock";
import { skipWithoutPostgres as skip } from "@ordermesh/local/under-test";
import { MeshError } from "@ordermesh/mesh/errors";
import { OrderStore } from "@ordermesh/order/store";
import { CardProvider } from "@ordermesh/payment/provider";
import { type Database, sql } from "@ordermesh/runtime/postgres";
import { Chance } from "./chance.ts";
import { type Command, IDS, type Memory } from "./command.ts";
import { COMMANDS, confirmed, shipmentsOf, within } from "./commands.ts";
import { anOrder, LEASE_MS } from "./order-commands.ts";
import { SERVICES, type ServiceName } from "./processes.ts";
import { isOf, openMemory, openPostgres, type Subject, TABLES } from "./subjects.ts";

const ROUNDS = 5;
const COMMANDS_A_ROUND = 60;
/** Of the clock or of chance, and so different in both. */
const HIDDEN = new Set(["age_ms", "placed_at", "updated_at", "updatedAt", "lease_until", "traceparent"]);

/** What a command answered, as far as it can be compared. */
async function answer(work: Promise<unknown>): Promise<unknown> {
  try {
    return plain(await work);
  } catch (error) {
    if (error instanceof MeshError) return { kind: error.kind, reason: error.reason };
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value) || value instanceof Date || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  const entries = Object.entries(value).filter(([name]) => !HIDDEN.has(name));
  return Object.fromEntries(entries.map(([name, inner]) => [name, plain(inner)]));
}

async function perform(subject: Subject, command: Command, memory: Memory): Promise<unknown> {
  return await subject.complete(answer(command.run(subject, memory)));
}

async function assertSameTables(service: ServiceName, [real, memory]: readonly [Subject, Subject]): Promise<void> {
  for (const table of TABLES.filter((name) => isOf(name, service) && name !== "products"))
    assert.deepEqual(await memory.dump(table), await real.dump(table), table);
}

test("time passes in PostgreSQL slowly", { skip }, async (t) => {
  const { db, clock } = await openPostgres(t, "order");
  const now = async () =>
    (await db.query<{ at: Date }>(sql("contract_now", "SELECT now() AS at")))[0]?.at.getTime() ?? 0;
  const [before, began] = [await now(), performance.now()];
  await clock.sleep(500);
  const passed = performance.now() - began;
  assert.ok((await now()) - before < passed / 10);
});

for (const service of SERVICES)
  test(`${service}: the same commands have the same answers and leave the same rows`, { skip }, async (t) => {
    for (let seed = 1; seed <= ROUNDS; seed += 1) {
      const chance = new Chance(seed);
      const subjects = [await openPostgres(t, service), await openMemory(service)] as const;
      const memories: [Memory, Memory] = [{ rows: [] }, { rows: [] }];
      for (let number = 0; number < COMMANDS_A_ROUND; number += 1) {
        const command = chance.pick(COMMANDS[service])(chance);
        const real = await perform(subjects[0], command, memories[0]);
        assert.deepEqual(await perform(subjects[1], command, memories[1]), real, `seed ${seed}: ${command.name}`);
      }
      await assertSameTables(service, subjects);
    }
  });

/** Two that meet: what the second answers when it began while the first's transaction was open. */
type Meeting = {
  readonly title: string;
  readonly service: ServiceName;
  /** Before both. */
  readonly given?: (db: Database, subject: Subject) => Promise<unknown>;
  readonly first: (db: Database, subject: Subject) => Promise<unknown>;
  readonly second: (db: Database, subject: Subject) => Promise<unknown>;
  /** Statements that wait for the first's transaction. */
  readonly waiting: 0 | 1;
};

const [ORDER = "", OTHER = ""] = IDS;
const storeOf = (db: Database) => new OrderStore(db, LEASE_MS);
const accept = (db: Database) => storeOf(db).accept(anOrder(ORDER, "k1"));
const advance = async (db: Database) => {
  const row = await storeOf(db).find(ORDER, "ada");
  if (row === undefined) return "there is no order";
  return storeOf(db).transition(row, { input: "STOCK_RESERVED", to: "CHARGING", reason: undefined }, undefined);
};
const acceptAndAge = async (db: Database, { age }: Subject) => {
  await accept(db);
  await age(2 * LEASE_MS);
};
const lastPieces = (orderId: string) => (db: Database) =>
  new Stock(db).reserve(orderId, [{ sku: "SCARCE-1", quantity: 13 }]);
const entry = { key: "k", orderId: ORDER, amountMinor: 100n, currency: "EUR" };
const consume = (db: Database) =>
  inboxInTransaction(withTransaction(db), "test", [confirmed(ORDER, 1), confirmed(ORDER, 2)], async () => undefined);
const ship = (orderId: string) => async (db: Database, subject: Subject) =>
  withTransaction(db).transaction((tx) => shipmentsOf({ ...subject, db }).create([confirmed(orderId, 1)], tx));

/** Lets code that opens a transaction run within one that is open. */
function withTransaction(db: Database): Database {
  return { ...within(db), transaction: (work) => work(db) };
}

const MEETINGS: readonly Meeting[] = [
  { title: "two orders under one key", service: "order", first: accept, second: accept, waiting: 1 },
  {
    title: "two transitions from one version",
    service: "order",
    given: accept,
    first: advance,
    second: advance,
    waiting: 1,
  },
  {
    title: "two claims of one order",
    service: "order",
    given: acceptAndAge,
    first: (db) => storeOf(db).claim(5),
    second: (db) => storeOf(db).claim(5),
    waiting: 0,
  },
  {
    title: "a transition and a wish to cancel",
    service: "order",
    given: accept,
    first: (db) => storeOf(db).requestCancel(ORDER),
    second: advance,
    waiting: 1,
  },
  {
    title: "two reservations of the last pieces",
    service: "inventory",
    first: lastPieces(ORDER),
    second: lastPieces(OTHER),
    waiting: 1,
  },
  {
    title: "two reservations of one order",
    service: "inventory",
    first: lastPieces(ORDER),
    second: lastPieces(ORDER),
    waiting: 1,
  },
  {
    title: "a release and a late reservation",
    service: "inventory",
    first: (db) => new Stock(db).release(ORDER),
    second: lastPieces(ORDER),
    waiting: 1,
  },
  {
    title: "a commit and a release",
    service: "inventory",
    given: lastPieces(ORDER),
    first: (db) => new Stock(db).commit(ORDER),
    second: (db) => new Stock(db).release(ORDER),
    waiting: 1,
  },
  {
    title: "a capture and a void under one key",
    service: "payment",
    first: (db, { clock }) => new CardProvider(db, clock).capture(entry, "tok_visa", 1),
    second: (db, { clock }) => new CardProvider(db, clock).void(entry),
    waiting: 1,
  },
  { title: "one event at two consumers of a group", service: "shipping", first: consume, second: consume, waiting: 1 },
  { title: "one shipment made twice", service: "shipping", first: ship(ORDER), second: ship(ORDER), waiting: 1 },
];

/** The first ends by a commit or a rollback when the second waits, or has answered. */
async function meet(
  subject: Subject,
  { given, first, second, waiting }: Meeting,
  isCommitted: boolean,
): Promise<unknown> {
  const { db, complete } = subject;
  if (given !== undefined) await complete(given(db, subject));
  const held = Promise.withResolvers<void>();
  const began = Promise.withResolvers<unknown>();
  const holding = db
    .transaction(async (tx) => {
      began.resolve(await answer(first(within(tx), subject)));
      await held.promise;
      if (!isCommitted) throw new Error("rolled back");
    })
    .catch(() => undefined);
  const firstAnswer = await complete(began.promise);
  let hasAnswered = false;
  const meeting = answer(db.transaction((tx) => second(within(tx), subject))).finally(() => {
    hasAnswered = true;
  });
  if (waiting === 0) await complete(meeting);
  else await subject.untilWaiting(waiting);
  if (waiting > 0) assert.equal(hasAnswered, false, "the second waits for the first");
  held.resolve();
  await complete(holding);
  return { first: firstAnswer, second: await complete(meeting) };
}

for (const meeting of MEETINGS)
  for (const isCommitted of [true, false])
    test(`${meeting.title}, the first ${isCommitted ? "committed" : "rolled back"}`, {
      skip,
    }, async (t: TestContext) => {
      const subjects = [await openPostgres(t, meeting.service), await openMemory(meeting.service)] as const;
      const real = await meet(subjects[0], meeting, isCommitted);
      assert.deepEqual(await meet(subjects[1], meeting, isCommitted), real);
      await assertSameTables(meeting.service, subjects);
    });

test("ids are given before the commit, so that a higher one can be seen first", { skip }, async (t) => {
  const see = async (subject: Subject) => {
    const held = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    const holding = subject.db.transaction(async (tx) => {
      await ship(ORDER)(within(tx), subject);
      began.resolve();
      await held.promise;
    });
    await subject.complete(began.promise);
    await subject.complete(ship(OTHER)(subject.db, subject));
    const before = await subject.dump("outbox");
    held.resolve();
    await subject.complete(holding);
    const keys = (rows: readonly object[]) => rows.map((row) => ("key" in row ? row.key : ""));
    return [keys(before), keys(await subject.dump("outbox"))];
  };
  const expected = [[OTHER], [ORDER, OTHER]];
  assert.deepEqual(await see(await openPostgres(t, "shipping")), expected);
  assert.deepEqual(await see(await openMemory("shipping")), expected);
});

test("of two transactions that wait for each other one is refused as a conflict", { skip }, async (t) => {
  const cross = async (subject: Subject) => {
    const { db, untilWaiting } = subject;
    const reserve = (orderId: string, sku: string) => (own: Database) =>
      new Stock(own).reserve(orderId, [{ sku, quantity: 1 }]);
    const ready = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    const go = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    const lockBoth = (index: 0 | 1, orders: readonly [string, string], skus: readonly [string, string]) =>
      answer(
        db.transaction(async (tx) => {
          await reserve(orders[0], skus[0])(within(tx));
          ready[index].resolve();
          await go[index].promise;
          await reserve(orders[1], skus[1])(within(tx));
        }),
      );
    const [a = "", b = "", c = "", d = ""] = IDS;
    const both = Promise.all([lockBoth(0, [a, b], ["MUG-1", "PEN-1"]), lockBoth(1, [c, d], ["PEN-1", "MUG-1"])]);
    await subject.complete(Promise.all(ready.map(({ promise }) => promise)));
    go[0].resolve();
    await untilWaiting(1);
    go[1].resolve();
    const answers = await subject.complete(both);
    return answers.filter((found) => found !== undefined);
  };
  const expected = [{ kind: "conflict", reason: "DATABASE_CONFLICT" }];
  assert.deepEqual(await cross(await openPostgres(t, "inventory")), expected);
  assert.deepEqual(await cross(await openMemory("inventory")), expected);
});
