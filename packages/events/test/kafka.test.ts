/** The Kafka adapter itself. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { testLog } from "@ordermesh/local/under-test";
import { systemClock } from "@ordermesh/mesh/clock";
import { type Batch, RecordRejected } from "../src/bus.ts";
import { KafkaBus } from "../src/kafka.ts";
import { TOPICS } from "../src/topics.ts";
import {
  anEvent,
  collect,
  consumeInto,
  eventually,
  newTopic,
  openBus,
  openEvents,
  skip,
  toRecord,
  untilEffects,
} from "./fixtures.ts";

const OBSERVED_MS = 300;

/** How many timers `globalThis.setTimeout` makes while `work` runs. */
async function countTimers(work: () => Promise<unknown>): Promise<number> {
  const original = globalThis.setTimeout;
  let timers = 0;
  globalThis.setTimeout = Object.assign((...args: Parameters<typeof original>) => {
    timers += 1;
    return original(...args);
  }, original);
  try {
    await work();
  } finally {
    globalThis.setTimeout = original;
  }
  return timers;
}

test("an idle connection wakes nobody, and no time-out is negative", { skip }, async (t) => {
  const warnings: string[] = [];
  const onWarning = ({ name }: Error) => void warnings.push(name);
  process.on("warning", onWarning);
  t.after(() => process.off("warning", onWarning));
  const bus = openBus(t);
  const topic = await newTopic(bus);
  await bus.publish([anEvent(topic)]);
  const timers = await countTimers(() => sleep(OBSERVED_MS));
  assert.ok(timers < 10, `${timers} timers in ${OBSERVED_MS} ms`);
  assert.deepEqual(
    warnings.filter((name) => name === "TimeoutNegativeWarning"),
    [],
  );
});

test("events that come one by one are handled as some batches, the first of them without a wait for more", {
  skip,
}, async (t) => {
  const bus = openBus(t);
  const topic = await newTopic(bus);
  const batches: number[] = [];
  const handle = async ({ records, commit }: Batch) => {
    batches.push(records.length);
    await commit();
  };
  bus.consume(`test-${randomUUID()}`, [topic], handle, assert.fail);
  const first = anEvent(topic);
  await bus.publish([first]);
  await eventually("the first", () => batches.length === 1);
  await sleep(2 * OBSERVED_MS); // Now the consumer waits at the broker.
  const startedMs = systemClock.nowMs();
  for (let count = 1; count <= 50; count += 1) await bus.publish([anEvent(topic, { key: first.key })]);
  await eventually("all of them", () => batches.reduce((sum, events) => sum + events, 0) === 51);
  const tookMs = systemClock.nowMs() - startedMs;
  t.diagnostic(`50 events in ${Math.round(tookMs)} ms: ${batches.length - 1} batches`);
  assert.ok((batches[1] ?? 0) <= 3, "the first waited for others");
  assert.ok(batches.length - 1 <= 2 + tookMs / 100, `${batches.length - 1} batches in ${tookMs} ms`);
});

test("a record that is too large is rejected for good, and the next ones are not", { skip }, async (t) => {
  const bus = openBus(t);
  const topic = await newTopic(bus);
  const received = collect(bus, topic);
  await assert.rejects(bus.publish([anEvent(topic, { data: Buffer.alloc(1_100_000) })]), RecordRejected);
  const event = anEvent(topic);
  await bus.publish([event]);
  await eventually("the next one", () => received.some(({ headers }) => headers.ce_id?.toString() === event.id));
});

test("a record that is too large to be a dead letter leaves its place, and its partition goes on", {
  skip,
}, async (t) => {
  const bus = openBus(t);
  const db = await openEvents(t);
  const topic = await newTopic(bus);
  const bad = anEvent(topic, { data: Buffer.alloc(1_048_576 - 330) });
  const { ce_id: _, ...headers } = toRecord(bad).headers;
  await bus.publishRaw([{ ...toRecord(bad), headers }]);
  await bus.publish([anEvent(topic, { key: bad.key })]);
  consumeInto(t, { bus, db, topics: [topic] });
  await untilEffects(db, 1);
  const letters = collect(bus, TOPICS.deadLetters);
  const isOurs = (letter: (typeof letters)[number]) => letter.headers.dlq_topic?.toString() === topic;
  const letter = await eventually("the dead letter", () => letters.find(isOurs));
  assert.equal(letter.headers.dlq_content?.toString(), "left out");
  assert.equal(letter.value, null);
});

test("a Kafka that is away is not reachable", async () => {
  const bus = new KafkaBus({ brokers: ["127.0.0.1:1"], clientId: "test", log: testLog, clock: systemClock });
  assert.equal(await bus.isReachable(), false);
});
