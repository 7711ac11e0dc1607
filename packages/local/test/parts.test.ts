/** etcd, Kafka and PostgreSQL for real: what is stored survives kills, a frozen part goes on, and nothing outlives us. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { env } from "node:process";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Batch } from "@ordermesh/events/bus";
import { KafkaBus } from "@ordermesh/events/kafka";
import { systemClock } from "@ordermesh/mesh/clock";
import pg from "pg";
import { prepareEtcd } from "../src/etcd.ts";
import { prepareKafka } from "../src/kafka.ts";
import type { Part } from "../src/part.ts";
import { startPart } from "../src/parts.ts";
import { createDatabase, preparePostgres } from "../src/postgres.ts";
import { silent } from "../src/progress.ts";
import { chooseSources, findTools } from "../src/sources.ts";
import { ROOT } from "../src/system.ts";
import { testLog } from "../src/under-test.ts";

const { PATH = "", HOME = "" } = env;
const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const cacheDir = join(ROOT, ".cache");
const sources = chooseSources(findTools({ PATH }, cacheDir));
const prepare = { etcd: prepareEtcd, kafka: prepareKafka, postgres: preparePostgres };

/** A part of the test's own, stopped and forgotten after it. */
async function startOwn(t: TestContext, name: keyof typeof prepare, nodes = 1): Promise<Part> {
  mkdirSync(cacheDir, { recursive: true });
  const dir = mkdtempSync(join(cacheDir, "test-"));
  execFileSync("chmod", ["755", dir]); // PostgreSQL may run as another user.
  const folders = { dataDir: join(dir, "data"), logDir: join(dir, "logs"), cacheDir };
  const part = await prepare[name]({ ...folders, source: sources[name], progress: silent, env: { PATH, HOME }, nodes });
  t.after(async () => {
    await Promise.all(part.processes.map((process) => process.stop(500)));
    rmSync(dir, { recursive: true });
  });
  await startPart(part);
  return part;
}

async function killAndStart(part: Part): Promise<void> {
  const ended = part.processes.map((process) => process.exited());
  for (const process of part.processes) process.kill();
  await Promise.all(ended);
  await startPart(part);
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

async function etcd(member: string, call: "put" | "range", body: object): Promise<{ kvs?: { value: string }[] }> {
  const response = await fetch(`${member}/v3/kv/${call}`, {
    method: "POST",
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(1_000),
  });
  assert.equal(response.status, 200);
  return (await response.json()) as { kvs?: { value: string }[] };
}

const put = (member: string, key: string, value: string) =>
  etcd(member, "put", { key: base64(key), value: base64(value) });
async function get(member: string, key: string): Promise<string> {
  const { kvs = [] } = await etcd(member, "range", { key: base64(key) });
  return Buffer.from(kvs[0]?.value ?? "", "base64").toString();
}

/** The first answer that keeps us waiting: threads run on for a moment after a SIGSTOP. */
async function untilSilent(ask: () => Promise<string>): Promise<() => Promise<string>> {
  for (let tries = 0; tries < 20; tries += 1) {
    const answer = ask();
    const first = await Promise.race([answer, sleep(200, "silence")]);
    if (first === "silence") return () => answer;
  }
  throw new Error("it goes on answering");
}

test("etcd has after a kill what it had before, and a frozen one answers late instead of never", async (t) => {
  const part = await startOwn(t, "etcd");
  await put(part.address, "colour", "blue");
  await killAndStart(part);
  assert.equal(await get(part.address, "colour"), "blue");

  part.processes[0]?.freeze();
  const answer = await untilSilent(() => get(part.address, "colour"));
  part.processes[0]?.thaw();
  assert.equal(await answer(), "blue");
});

test("three etcd members keep writing while one of them is dead, and it catches up", async (t) => {
  const part = await startOwn(t, "etcd", 3);
  const [first = "", second = ""] = part.address.split(",");
  const [process] = part.processes;
  const ended = process?.exited();
  process?.kill();
  await ended;
  await assert.doesNotReject(async () => {
    for (let attempt = 0; attempt < 20; attempt += 1)
      try {
        return await put(second, "colour", "green"); // Refused while a new leader is elected.
      } catch {
        await sleep(250);
      }
    throw new Error("two of three members took no write");
  });
  process?.start();
  await part.untilReady();
  assert.equal(await get(first, "colour"), "green");
});

test("Kafka has its topics and their records after a kill", async (t) => {
  const part = await startOwn(t, "kafka");
  const open = () => new KafkaBus({ brokers: [part.address], clientId: "test", log: testLog, clock: systemClock });
  const before = open();
  await before.ensureTopics(1, ["pets"]);
  await before.publishRaw([{ topic: "pets", key: "1", value: Buffer.from("Mia"), headers: {} }]);
  await before.close();
  await killAndStart(part);
  const after = open();
  const batch = await new Promise<Batch>((resolve, reject) => {
    after.consume("reader", ["pets"], async (first) => resolve(first), reject);
  });
  await after.close();
  assert.deepEqual(
    batch.records.map(({ value }) => String(value)),
    ["Mia"],
  );
});

test("PostgreSQL has committed rows after a kill, and a role cannot make databases", async (t) => {
  const part = await startOwn(t, "postgres");
  const [url, again] = await Promise.all([createDatabase(part.address, "pets"), createDatabase(part.address, "pets")]);
  assert.equal(url, again);
  await query(url, "CREATE TABLE cats AS SELECT 'Mia' AS name");
  await killAndStart(part);
  assert.deepEqual(await query(url, "SELECT name, current_user AS owner FROM cats"), [{ name: "Mia", owner: "pets" }]);
  await assert.rejects(query(url, "CREATE DATABASE other"), { code: "42501" });
});

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

const statesOf = (pids: readonly string[]): string[] =>
  execFileSync("bash", ["-c", `ps -o stat= -p ${pids.join(",")} || true`])
    .toString()
    .split("\n")
    .filter((state) => state !== "" && !state.startsWith("Z"));

for (const signal of ["SIGKILL", "SIGTERM"] as const)
  test(`with-parts leaves no process behind after ${signal}`, async (t) => {
    const supervisor = spawn(process.execPath, [MAIN, "with-parts", "--", "bash", "-c", "echo ready; exec sleep 60"], {
      env: { PATH, HOME },
      stdio: ["ignore", "pipe", "ignore"],
    });
    t.after(() => supervisor.kill("SIGKILL"));
    await once(createInterface({ input: supervisor.stdout }), "line");
    const children = execFileSync("pgrep", ["-P", String(supervisor.pid)])
      .toString()
      .trim()
      .split("\n");
    assert.equal(statesOf(children).length, 4); // The parts and the program.
    supervisor.kill(signal);
    const endsMs = performance.now() + 10_000;
    while (statesOf(children).length > 0) {
      assert.ok(performance.now() < endsMs, `${statesOf(children).length} processes are left`);
      await sleep(50);
    }
  });
