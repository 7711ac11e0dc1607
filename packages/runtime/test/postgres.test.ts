/** PostgreSQL for real: broken connections, notifications, migrations side by side. */
import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { openDatabase, skipWithoutPostgres as skip, testLog } from "@ordermesh/local/under-test";
import { systemClock } from "@ordermesh/mesh/clock";
import { migrate } from "../src/migrate.ts";
import { constraintOf, Db, sql } from "../src/postgres.ts";

const ONE = sql("one", "SELECT 1 AS one");
const KILL_OTHERS = sql(
  "kill_others",
  "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
);

function folderOf(files: Record<string, string>): URL {
  const dir = mkdtempSync(join(tmpdir(), "migrations-"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  return pathToFileURL(`${dir}/`);
}

const migrations = () => [
  {
    dir: folderOf({
      "001.do.t.sql":
        "CREATE TABLE t (id bigint PRIMARY KEY CONSTRAINT positive CHECK (id > 0), at timestamptz DEFAULT now())",
    }),
    table: "m",
  },
];

test("numbers of 64 bits are bigints and times are dates, in both directions", { skip }, async (t) => {
  const { db } = await openDatabase(t, migrations());
  const [row] = await db.query<{ id: bigint; at: Date }>(
    sql("insert", "INSERT INTO t (id) VALUES ($1) RETURNING id, at"),
    2n ** 62n,
  );
  assert.equal(row?.id, 2n ** 62n);
  assert.ok(row?.at instanceof Date);
});

test("a violated constraint is told by its name, and its connection is used again", { skip }, async (t) => {
  const { db } = await openDatabase(t, migrations(), 1);
  const session = sql("session", "SELECT pg_backend_pid()");
  const before = await db.query(session);
  await assert.rejects(
    db.query(sql("insert", "INSERT INTO t (id) VALUES ($1)"), 0n),
    (error) => constraintOf(error) === "positive",
  );
  assert.deepEqual(await db.query(session), before);
});

test("a connection outlives a lull", { skip }, async (t) => {
  const { db } = await openDatabase(t, migrations(), 1);
  const session = sql("session", "SELECT pg_backend_pid()");
  const before = await db.query(session);
  await systemClock.sleep(11_000); // pg would end it after 10 s.
  assert.deepEqual(await db.query(session), before);
});

test("a transaction that fails leaves nothing, and its connection is used again", { skip }, async (t) => {
  const { db } = await openDatabase(t, migrations(), 1);
  const insert = sql("insert", "INSERT INTO t (id) VALUES ($1)");
  await assert.rejects(
    db.transaction(async (tx) => {
      await tx.query(insert, 1n);
      throw new RangeError("no");
    }),
    RangeError,
  );
  assert.deepEqual(await db.query(sql("all", "SELECT id FROM t")), []);
});

test("connections that the server ends are replaced, and a running statement is unavailable", { skip }, async (t) => {
  const { db } = await openDatabase(t, migrations(), 4);
  const sleeping = db.query(sql("sleep", "SELECT pg_sleep(4)"));
  const refused = assert.rejects(sleeping, { kind: "unavailable", reason: "DATABASE_UNAVAILABLE" });
  assert.ok(await untilRunning(db));
  await refused;
  assert.deepEqual(await db.query(ONE), [{ one: 1 }]);
});

async function untilRunning(db: Db): Promise<boolean> {
  const running = sql(
    "running",
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep%' AND state = 'active'",
  );
  for (let tries = 0; tries < 100; tries += 1) {
    if ((await db.query(running)).length > 0) {
      await db.query(KILL_OTHERS);
      return true;
    }
    await systemClock.sleep(20);
  }
  return false;
}

test("a connection that breaks between two statements fails the transaction and nothing else", { skip }, async (t) => {
  const { db } = await openDatabase(t, migrations());
  const broken = db.transaction(async (tx) => {
    await tx.query(ONE);
    await db.query(KILL_OTHERS);
    await systemClock.sleep(100); // The process hears of it while no statement runs.
    await tx.query(ONE);
  });
  await assert.rejects(broken, { kind: "unavailable", reason: "DATABASE_UNAVAILABLE" });
  assert.equal((await db.query(ONE)).length, 1);
});

test("a connection that the server ends as its transaction did nothing, and a pool that has ended, are unavailable", {
  skip,
}, async (t) => {
  const { url, metrics } = await openDatabase(t, migrations());
  const db = new Db({ url, poolSize: 1, log: testLog, metrics, clock: systemClock, random: Math.random });
  const idle = db.transaction(async (tx) => {
    await tx.query(sql("hurry", "SET LOCAL idle_in_transaction_session_timeout = '50ms'"));
    await systemClock.sleep(500);
    await tx.query(ONE);
  });
  await assert.rejects(idle, { kind: "unavailable", reason: "DATABASE_UNAVAILABLE" });
  await db.close();
  await assert.rejects(db.query(ONE), { kind: "unavailable", reason: "DATABASE_UNAVAILABLE" });
});

test("two transactions in each other's way are a conflict, not a bug", { skip }, async (t) => {
  const { db } = await openDatabase(t, migrations(), 4);
  const insert = sql("insert", "INSERT INTO t (id) VALUES ($1)");
  const touch = sql("touch", "UPDATE t SET at = now() WHERE id = $1");
  await db.query(insert, 1n);
  await db.query(insert, 2n);
  const meet = Promise.withResolvers<void>();
  let waiting = 0;
  const cross = (first: bigint, second: bigint) =>
    db.transaction(async (tx) => {
      await tx.query(touch, first);
      waiting += 1;
      if (waiting === 2) meet.resolve();
      await meet.promise;
      await tx.query(touch, second);
    });
  const ends = await Promise.allSettled([cross(1n, 2n), cross(2n, 1n)]);
  const failed = ends.flatMap((end) => (end.status === "rejected" ? [end.reason] : []));
  assert.equal(failed.length, 1);
  assert.equal(failed[0].reason, "DATABASE_CONFLICT");
});

test("listeners hear what is notified, after the commit, also when their connection was ended", { skip }, async (t) => {
  const { db } = await openDatabase(t, migrations(), 4);
  const heard: string[] = [];
  db.listen("news", (payload) => heard.push(payload));
  const until = async (condition: () => boolean) => {
    for (let tries = 0; tries < 300 && !condition(); tries += 1) await systemClock.sleep(20);
    assert.ok(condition(), heard.join(","));
  };
  await until(() => heard.length === 1); // Listening has begun.
  await db.transaction(async (tx) => {
    tx.notify("news", "committed");
    await tx.query(ONE);
  });
  await assert.rejects(
    db.transaction(async (tx) => {
      tx.notify("news", "rolled back");
      throw new RangeError("no");
    }),
  );
  await until(() => heard.includes("committed"));
  await db.query(KILL_OTHERS);
  await until(() => heard.filter((payload) => payload === "").length === 2); // Listening again.
  for (let index = 0; index < 50; index += 1) db.notify("news", String(index));
  await until(() => heard.includes("49"));
  assert.ok(!heard.includes("rolled back"));
});

test("processes that migrate at the same time apply each file once", { skip }, async (t) => {
  const { db, url } = await openDatabase(t, []);
  const dir = folderOf({ "001.do.a.sql": "CREATE TABLE a (id int)", "002.do.b.sql": "INSERT INTO a VALUES (1)" });
  const options = { url, dir, table: "m", clock: systemClock, log: testLog, signal: new AbortController().signal };
  await Promise.all(Array.from({ length: 5 }, () => migrate(options)));
  assert.deepEqual(await db.query(sql("count", "SELECT count(*) AS n FROM a")), [{ n: 1n }]);
});

test("a migration that is wrong fails at once, and one without a database waits until it is told to stop", {
  skip,
}, async (t) => {
  const { url } = await openDatabase(t, []);
  const stop = new AbortController();
  const options = {
    url,
    dir: folderOf({ "001.do.a.sql": "CREATE TABEL a (id int)" }),
    table: "m",
    clock: systemClock,
    log: testLog,
    signal: stop.signal,
  };
  await assert.rejects(migrate(options), /syntax error/);
  const waiting = migrate({ ...options, url: "postgres://nobody@127.0.0.1:9/none" });
  setTimeout(() => stop.abort(), 50);
  await assert.rejects(waiting, { name: "AbortError" });
});
