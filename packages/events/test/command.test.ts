/** The operators' command as a process, on real Kafka. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { PoisonEvent } from "../src/event.ts";
import { TOPICS } from "../src/topics.ts";
import {
  addEffects,
  anEvent,
  BROKERS,
  collect,
  consumeInto,
  effectsOf,
  eventually,
  newTopic,
  openBus,
  openEvents,
  skip,
  untilEffects,
} from "./fixtures.ts";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

/** Runs the command to its end. */
async function run(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const read = async (stream: AsyncIterable<Buffer>) => {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };
  const { promise: code, resolve } = Promise.withResolvers<number>();
  child.on("close", (exitCode) => resolve(exitCode ?? -1));
  const [out, err] = await Promise.all([read(child.stdout), read(child.stderr)]);
  return { code: await code, out, err };
}

for (const args of [
  ["--unknown"],
  ["fly"],
  [],
  ["reset", "--group", "g", "--topic", "t", "--to", "tomorrow"],
  ["reset", "--topic", "t", "--to", "latest"],
])
  test(`${JSON.stringify(args.join(" "))} is wrong use`, async () => {
    const { code, out, err } = await run(...args);
    assert.deepEqual([code, out], [2, ""]);
    assert.match(err, /^Usage: /);
  });

test("help is given to those who ask", async () => {
  const { code, out, err } = await run("--help");
  assert.deepEqual([code, err], [0, ""]);
  assert.match(out, /^Usage: /);
});

test("a Kafka that is away is said in one sentence", async () => {
  assert.deepEqual(await run("replay", "--brokers", "127.0.0.1:1"), {
    code: 1,
    out: "",
    err: "Kafka does not answer at 127.0.0.1:1\n",
  });
});

test("dead letters are listed, sent back once, and have their effect once", { skip }, async (t) => {
  const bus = openBus(t);
  const db = await openEvents(t);
  const topic = await newTopic(bus);
  const reason = `no ${randomUUID()} yet`;
  let isReady = false;
  const { group, metrics } = consumeInto(t, {
    bus,
    db,
    topics: [topic],
    handle(events, tx) {
      if (!isReady) throw new PoisonEvent(reason);
      return addEffects(events, tx);
    },
  });
  const letters = collect(bus, TOPICS.deadLetters);
  const events = [anEvent(topic), anEvent(topic), anEvent(topic)];
  await bus.publish(events);
  await eventually(
    "dead letters",
    () => letters.filter(({ headers }) => headers.dlq_reason?.toString() === reason).length === 3,
  );
  isReady = true;

  const brokers = ["--brokers", BROKERS.join(",")];
  for (let times = 0; times < 2; times += 1) {
    const { code, out } = await run("replay", "--dry-run", "--reason", reason, ...brokers);
    assert.equal(code, 0);
    assert.match(out, /\n?3 would be replayed, \d+ passed over\n$/);
    for (const { key } of events) assert.match(out, new RegExp(`^${topic}/\\d@\\d+ ${key} ${reason}$`, "m"));
  }
  assert.deepEqual(await effectsOf(db), []);
  assert.match((await run("replay", "--reason", reason, ...brokers)).out, /\n3 replayed, \d+ passed over\n$/);
  const effects = await untilEffects(db, 3);
  assert.deepEqual(new Set(effects.map(({ event_id }) => event_id)), new Set(events.map(({ id }) => id)));
  assert.match((await run("replay", "--reason", reason, ...brokers)).out, /^0 replayed, \d+ passed over\n$/);

  const busy = await run("reset", "--group", group, "--topic", topic, "--to", "earliest", ...brokers);
  assert.equal(busy.code, 1);
  assert.match(busy.err, /no running instances/);
  await bus.close();
  const reset = await run("reset", "--group", group, "--topic", topic, "--to", "earliest", ...brokers);
  assert.deepEqual([reset.code, reset.out], [0, `${group} begins at the earliest offsets of ${topic}\n`]);
  const again = consumeInto(t, { bus: openBus(t), db, topics: [topic], group });
  await eventually(
    "the whole topic is consumed again",
    async () => (await again.metrics.consumed.get()).values[0]?.value === 6,
  );
  assert.equal((await effectsOf(db)).length, 3);
  assert.equal((await metrics.deadLetters.get()).values[0]?.value, 3);
});
