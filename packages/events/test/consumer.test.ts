/** Consuming from real Kafka into real PostgreSQL: every event has its effect once, whatever fails in between. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { afterEach, test } from "node:test";
import { armFailpoints, failpointHits } from "@ordermesh/runtime/failpoints";
import { createLogger } from "@ordermesh/runtime/log";
import type { RawRecord } from "../src/bus.ts";
import { decodeData, type InboundRecord, PoisonEvent } from "../src/event.ts";
import type { Handle } from "../src/inbox.ts";
import { TOPICS } from "../src/topics.ts";
import { BAD_RECORDS, type BadRecord } from "./bad-records.ts";
import * as fixtures from "./fixtures.ts";
import { startRelay } from "./relay-under-test.ts";

const {
  addEffects,
  anEvent,
  consumeInto,
  effectsOf,
  eventually,
  newTopic,
  openBus,
  openEvents,
  skip,
  toRecord,
  untilEffects,
} = fixtures;

const SECRET = "ada@example.com";

afterEach(() => armFailpoints(""));

/** What a service's handler refuses, with its reason. */
const BAD_CONTENT: readonly BadRecord[] = [
  {
    what: "an unknown type",
    reason: "the event's type is unknown",
    change: ({ headers }) => ({ headers: { ...headers, ce_type: "ordermesh.order.teleported.v1" } }),
  },
  {
    what: "truncated data",
    reason: "the value is no test",
    change: () => ({ value: Buffer.from(`{"orderId": "${SECRET}`) }),
  },
  {
    what: "another order in the data",
    reason: "the order in the value is not the key",
    change: () => ({ value: Buffer.from(JSON.stringify({ orderId: randomUUID(), email: SECRET })) }),
  },
];
const codec = { decode: (bytes: Uint8Array): { orderId: string } => JSON.parse(Buffer.from(bytes).toString()) };

/** As services do: judges every event of a batch before any has an effect. */
const strict: Handle = async (events, tx) => {
  for (const event of events) {
    if (event.type !== "test") throw new PoisonEvent("the event's type is unknown");
    decodeData(event, codec);
  }
  await addEffects(events, tx);
};

test("every bad record becomes a dead letter with its reason and place, and the good ones among them have their effect", {
  skip,
}, async (t) => {
  const bus = openBus(t);
  const db = await openEvents(t);
  const topic = await newTopic(bus);
  const good = (key: string) => {
    const data = Buffer.from(JSON.stringify({ orderId: key, email: SECRET }));
    return anEvent(topic, { key, data });
  };
  const bad = [...BAD_RECORDS, ...BAD_CONTENT];
  const records: RawRecord[] = [];
  const goods: string[] = [];
  for (const { change } of bad) {
    const record = toRecord(good(randomUUID()));
    const fine = good(randomUUID());
    goods.push(fine.id);
    records.push({ ...record, ...change(record) }, toRecord(fine));
  }
  await bus.publishRaw(records);
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLogger({ service: "test", instance: "test", version: "", level: "debug", destination });
  const { metrics, group } = consumeInto(t, { bus, db, topics: [topic], handle: strict, log });
  const all = fixtures.collect(bus, TOPICS.deadLetters);
  const isOurs = ({ headers }: InboundRecord) => headers.dlq_topic?.toString() === topic;
  await eventually("all dead letters", () => all.filter(isOurs).length >= bad.length);
  const effects = await untilEffects(db, goods.length);
  assert.deepEqual(new Set(effects.map(({ event_id }) => event_id)), new Set(goods));
  assert.equal(effects.length, goods.length);

  const letters = all.filter(isOurs);
  assert.deepEqual(
    letters.map(({ headers }) => headers.dlq_reason?.toString()).sort(),
    bad.map(({ reason }) => reason).sort(),
  );
  const places = new Set(letters.map(({ headers }) => `${headers.dlq_partition}/${headers.dlq_offset}`));
  assert.equal(places.size, bad.length);
  assert.deepEqual(new Set(letters.map(({ headers }) => headers.dlq_group?.toString())), new Set([group]));
  await eventually("all are counted", async () => {
    const { values } = await metrics.deadLetters.get();
    return values[0]?.value === bad.length && values.length === 1;
  });
  assert.doesNotMatch(lines.join(""), new RegExp(SECRET));
});

for (const point of ["polled", "inboxInserted", "handled", "committed"])
  test(`after a failure at consumer.${point} every event has one effect, in order`, { skip }, async (t) => {
    armFailpoints(`consumer.${point}=1*error`);
    const bus = openBus(t);
    const db = await openEvents(t);
    const topic = await newTopic(bus);
    const key = randomUUID();
    await bus.publish([1n, 2n, 3n].map((sequence) => anEvent(topic, { key, sequence })));
    consumeInto(t, { bus, db, topics: [topic] });
    await untilEffects(db, 3);
    await bus.publish([anEvent(topic, { key, sequence: 4n })]);
    const effects = await untilEffects(db, 4);
    assert.deepEqual(
      effects.map(({ sequence }) => sequence),
      [1n, 2n, 3n, 4n],
    );
    assert.ok((failpointHits()?.[`consumer.${point}`] ?? 0) > 1);
  });

test("the same event again, and another event in its place, have no effect", { skip }, async (t) => {
  const bus = openBus(t);
  const db = await openEvents(t);
  const topic = await newTopic(bus);
  const key = randomUUID();
  const event = anEvent(topic, { key });
  const usurper = anEvent(topic, { key, sequence: 1n, data: Buffer.from("other") });
  const next = anEvent(topic, { key, sequence: 2n });
  await bus.publish([event, ...Array.from({ length: 1_000 }, () => event), usurper, next, event]);
  const { metrics } = consumeInto(t, { bus, db, topics: [topic] });
  await untilEffects(db, 2);
  await eventually("all are consumed", async () => (await metrics.consumed.get()).values[0]?.value === 1_004);
  assert.deepEqual(
    (await effectsOf(db)).map(({ event_id }) => event_id),
    [event.id, next.id],
  );
  assert.equal((await metrics.duplicates.get()).values[0]?.value, 1_002);
});

test("an event that comes late in its sequence has its effect, as a replayed dead letter would", {
  skip,
}, async (t) => {
  const bus = openBus(t);
  const db = await openEvents(t);
  const topic = await newTopic(bus);
  const key = randomUUID();
  consumeInto(t, { bus, db, topics: [topic] });
  await bus.publish([5n, 2n, 9_223_372n].map((sequence) => anEvent(topic, { key, sequence })));
  const effects = await untilEffects(db, 3);
  assert.deepEqual(
    effects.map(({ sequence }) => sequence),
    [5n, 2n, 9_223_372n],
  );
});

test("a consumer waits for its topic", { skip }, async (t) => {
  const bus = openBus(t);
  const db = await openEvents(t);
  const topic = `test-${randomUUID()}`;
  consumeInto(t, { bus, db, topics: [topic] });
  await bus.ensureTopics(1, [topic]);
  const event = anEvent(topic);
  await bus.publish([event]);
  assert.equal((await untilEffects(db, 1))[0]?.event_id, event.id);
});

test("a consumer whose partitions were taken away in the middle of a batch joins again, and every event has one effect", {
  skip,
}, async (t) => {
  const [slow, quick, bus] = [openBus(t), openBus(t), openBus(t)];
  const db = await openEvents(t);
  const topic = await newTopic(bus);
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  t.after(() => release());
  // Before anyone consumes: kafkajs fetches again only when all batches of a fetch are handled, and one fetch gets these.
  await bus.publish(Array.from({ length: 30 }, () => anEvent(topic)));
  const { group } = consumeInto(t, {
    bus: slow,
    db,
    topics: [topic],
    // Holds up what comes after the transaction: until then no lock is held, and the offset is not committed.
    inbox: async (...args) => {
      const fresh = await (await import("../src/inbox.ts")).inboxInTransaction(...args);
      await released;
      return fresh;
    },
  });
  await untilEffects(db, 30);
  const { metrics } = consumeInto(t, { bus: quick, db, topics: [topic], group });
  // The batch outlives the rebalance time-out, so the other consumer gets everything again.
  await eventually("the other has taken over", async () => (await metrics.duplicates.get()).values[0]?.value === 30);
  release();
  await bus.publish(Array.from({ length: 30 }, () => anEvent(topic)));
  assert.equal((await untilEffects(db, 60)).length, 60);
  await quick.close();
  await bus.publish(Array.from({ length: 30 }, () => anEvent(topic)));
  assert.equal((await untilEffects(db, 90)).length, 90);
});

test("the way from the outbox to the effect is measured", { skip }, async (t) => {
  const bus = openBus(t);
  const db = await openEvents(t);
  const topic = await newTopic(bus);
  consumeInto(t, { bus, db, topics: [topic] });
  startRelay(t, fixtures.relayOptions(db, bus));
  await fixtures.addToOutbox(db, [anEvent(topic)]);
  await untilEffects(db, 1);
  const tookMs: number[] = [];
  for (let round = 0; round < 50; round += 1) {
    const startedMs = performance.now();
    await fixtures.addToOutbox(db, [anEvent(topic)]);
    await untilEffects(db, round + 2);
    tookMs.push(performance.now() - startedMs);
  }
  tookMs.sort((a, b) => a - b);
  t.diagnostic(
    `from commit to effect: median ${tookMs[25]?.toFixed(0)} ms, worst of 50 ${tookMs.at(-1)?.toFixed(0)} ms`,
  );
});
