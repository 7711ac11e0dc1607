/** The outbox's way to Kafka, on real PostgreSQL: nothing lost, a key's order kept, one relay at a time. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { afterEach, test } from "node:test";
import { testLog } from "@ordermesh/local/under-test";
import { systemClock } from "@ordermesh/mesh/clock";
import { MeshError } from "@ordermesh/mesh/errors";
import { armFailpoints } from "@ordermesh/runtime/failpoints";
import { type Db, sql } from "@ordermesh/runtime/postgres";
import { RecordRejected } from "../src/bus.ts";
import { type OutboundEvent, toEvent } from "../src/event.ts";
import { type Publisher, relayBatch, runRelay } from "../src/relay.ts";
import * as fixtures from "./fixtures.ts";
import { Recorder, STATES, startRelay, statesOf } from "./relay-under-test.ts";

const { addToOutbox, anEvent, eventually, openEvents, relayOptions, skip, skipWithoutDatabase } = fixtures;

const END_LEASE = sql("test_end_lease", "UPDATE relay_lease SET ends_at = now() - interval '1 millisecond'");
const AGE = sql("test_age", "UPDATE outbox SET published_at = now() - $1::interval WHERE event_id = $2");

const keysAndSequences = (events: readonly { key: string; sequence: bigint }[]) =>
  events.map(({ key, sequence }) => `${key} ${sequence}`);

afterEach(() => armFailpoints(""));

test("what is in the outbox comes out of Kafka, whole and in each key's order", { skip }, async (t) => {
  const bus = fixtures.openBus(t);
  const db = await openEvents(t);
  const topic = await fixtures.newTopic(bus);
  const keys = Array.from({ length: 20 }, () => randomUUID());
  const events = [1n, 2n, 3n].flatMap((sequence) => keys.map((key) => anEvent(topic, { key, sequence })));
  await addToOutbox(db, events);
  const { metrics } = startRelay(t, relayOptions(db, bus, { chunk: 7 }));
  const records = fixtures.collect(bus, topic);
  await eventually("all records", () => records.length >= events.length);
  const received = records.map(toEvent);
  assert.equal(received.length, events.length);
  for (const key of keys)
    assert.deepEqual(
      received.filter((event) => event.key === key).map(({ sequence }) => sequence),
      [1n, 2n, 3n],
    );
  const { partition, offset, ...first } = received.find(({ id }) => id === events[0]?.id) ?? assert.fail();
  assert.deepEqual({ ...first, data: Buffer.from(first.data) }, events[0]);
  assert.match(`${partition} ${offset}`, /^\d \d+$/);
  const counted = async () => (await metrics.sent.get()).values.map(({ value }) => value);
  await eventually("all are counted", async () => (await counted())[0] === events.length);
});

test("an event that Kafka refuses is parked, and the others go on", { skip }, async (t) => {
  const bus = fixtures.openBus(t);
  const db = await openEvents(t);
  const topic = await fixtures.newTopic(bus);
  const key = randomUUID();
  const poison = anEvent(topic, { key, sequence: 2n, data: Buffer.alloc(1_100_000) });
  const before = Array.from({ length: 30 }, () => anEvent(topic)); // Over all partitions, in the same request as the poison.
  const events = [...before, anEvent(topic, { key }), poison, anEvent(topic, { key, sequence: 3n })];
  await addToOutbox(db, events);
  const { metrics } = startRelay(t, relayOptions(db, bus));
  const records = fixtures.collect(bus, topic);
  const states = await eventually("no event waits", async () => {
    const found = await statesOf(db);
    return !found.includes("waiting") && found;
  });
  assert.deepEqual(
    states,
    events.map((event) => (event === poison ? "MESSAGE_TOO_LARGE" : "sent")),
  );
  assert.equal((await metrics.parked.get()).values[0]?.value, 1);
  const later = anEvent(topic, { key, sequence: 4n });
  await addToOutbox(db, [later]);
  const expected = new Set([...events, later].filter((event) => event !== poison).map(({ id }) => id));
  const idsReceived = () => new Set(records.map((record) => toEvent(record).id));
  await eventually("the others", () => idsReceived().size >= expected.size);
  assert.deepEqual(idsReceived(), expected);
  const own = [
    ...new Set(
      records
        .map(toEvent)
        .filter((event) => event.key === key)
        .map(({ sequence }) => sequence),
    ),
  ];
  assert.deepEqual(own, [1n, 3n, 4n]);
});

test("a batch that only together is too large is sent in parts", { skip: skipWithoutDatabase }, async (t) => {
  const db = await openEvents(t);
  const sent: OutboundEvent[] = [];
  const bus: Publisher = {
    async publish(events) {
      if (events.length > 3) throw new RecordRejected("MESSAGE_TOO_LARGE");
      sent.push(...events);
    },
  };
  const events = Array.from({ length: 20 }, () => anEvent("orders"));
  await addToOutbox(db, events);
  assert.equal(await relayBatch(relayOptions(db, bus)), 20);
  assert.deepEqual(keysAndSequences(sent), keysAndSequences(events));
  assert.deepEqual(new Set(await statesOf(db)), new Set(["sent"]));
});

test("of two relays one works, and the other takes over when the lease is over", {
  skip: skipWithoutDatabase,
}, async (t) => {
  const db = await openEvents(t);
  const bus = new Recorder();
  const [one, two] = [relayOptions(db, bus), relayOptions(db, bus, { holder: "relay-2" })];
  await addToOutbox(db, [anEvent("orders")]);
  assert.equal(await relayBatch(one), 1);
  await addToOutbox(db, [anEvent("orders")]);
  assert.equal(await relayBatch(two), 0);
  assert.equal(await relayBatch(one), 1);
  await addToOutbox(db, [anEvent("orders")]);
  await db.query(END_LEASE);
  assert.equal(await relayBatch(two), 1);
  assert.equal(await relayBatch(one), 0);
  assert.equal(bus.published.length, 3);
});

test("a relay that was away past its lease marks nothing, and no key's events change places", {
  skip: skipWithoutDatabase,
}, async (t) => {
  const db = await openEvents(t);
  const bus = new Recorder();
  const key = randomUUID();
  await addToOutbox(db, [anEvent("orders", { key }), anEvent("orders", { key, sequence: 2n })]);
  const { promise: away, resolve: comeBack } = Promise.withResolvers<void>();
  const { promise: selected, resolve: select } = Promise.withResolvers<void>();
  const sleeper: Publisher = {
    async publish(events) {
      select();
      await away;
      await bus.publish(events);
    },
  };
  const old = relayBatch(relayOptions(db, sleeper));
  await selected;
  await db.query(END_LEASE);
  const other = {
    async publish() {
      throw new MeshError("unavailable", "BROKER_UNAVAILABLE", "Kafka did not take the events");
    },
  };
  await assert.rejects(relayBatch(relayOptions(db, other, { holder: "relay-2" })));
  comeBack();
  await old;
  assert.deepEqual(await statesOf(db), ["waiting", "waiting"]);
  await addToOutbox(db, [anEvent("orders", { key, sequence: 3n })]);
  await relayBatch(relayOptions(db, bus, { holder: "relay-2" }));
  assert.deepEqual(await statesOf(db), ["sent", "sent", "sent"]);
  assert.deepEqual(
    bus.published.map(({ sequence }) => sequence),
    [1n, 2n, 1n, 2n, 3n],
  );
});

test("a row that becomes visible late is sent, although its id is lower", { skip: skipWithoutDatabase }, async (t) => {
  const db = await openEvents(t);
  const bus = new Recorder();
  const [late, early] = [anEvent("orders"), anEvent("orders")];
  await db.transaction(async (tx) => {
    await fixtures.addToOutbox(tx as Db, [late]);
    await addToOutbox(db, [early]);
    assert.equal(await relayBatch(relayOptions(db, bus)), 1);
  });
  assert.equal(await relayBatch(relayOptions(db, bus)), 1);
  assert.deepEqual(
    bus.published.map(({ id }) => id),
    [early.id, late.id],
  );
});

for (const point of ["selected", "produceSent", "producedHalf", "acked", "marked"])
  test(`after a failure at relay.${point} every event is sent, at least once and in order`, {
    skip: skipWithoutDatabase,
  }, async (t) => {
    const db = await openEvents(t);
    const bus = new Recorder();
    const key = randomUUID();
    const events = [1n, 2n, 3n, 4n].map((sequence) => anEvent("orders", { key, sequence }));
    armFailpoints(`relay.${point}=1*error`);
    await addToOutbox(db, events);
    startRelay(t, relayOptions(db, bus, { chunk: 2 }));
    await eventually("all are marked", async () => (await statesOf(db)).every((state) => state === "sent"));
    const firsts = bus.published.filter(
      ({ id }, index) => bus.published.findIndex((event) => event.id === id) === index,
    );
    assert.deepEqual(
      firsts.map(({ sequence }) => sequence),
      [1n, 2n, 3n, 4n],
    );
  });

test("a backlog goes out in full batches, without pauses", { skip: skipWithoutDatabase }, async (t) => {
  const db = await openEvents(t);
  const bus = new Recorder();
  await addToOutbox(
    db,
    Array.from({ length: 1_700 }, () => anEvent("orders")),
  );
  const sleptMs: number[] = [];
  const clock = {
    ...systemClock,
    sleep: (ms: number, signal?: AbortSignal) => {
      if (bus.published.length < 1_700 && bus.published.length > 0) sleptMs.push(ms);
      return systemClock.sleep(ms, signal);
    },
  };
  startRelay(t, relayOptions(db, bus, { clock, chunk: 250 }));
  await eventually("all are marked", async () => !(await statesOf(db)).includes("waiting"));
  assert.deepEqual(bus.requests, [250, 250, 250, 250, 250, 250, 200]);
  assert.deepEqual(
    sleptMs.filter((ms) => ms < 2_000),
    [],
  );
});

test("a commit wakes the relay", { skip: skipWithoutDatabase }, async (t) => {
  const db = await openEvents(t);
  const bus = new Recorder();
  const clock = { ...systemClock, sleep: (_ms: number, signal?: AbortSignal) => systemClock.sleep(3_600_000, signal) };
  startRelay(t, relayOptions(db, bus, { clock }));
  await eventually(
    "the relay has looked and sleeps",
    async () => (await db.query(sql("t_lease", "SELECT FROM relay_lease WHERE holder <> ''"))).length > 0,
  );
  await addToOutbox(db, [anEvent("orders")]);
  await eventually("the event is sent", () => bus.published.length === 1);
});

test("what was sent a day ago is forgotten, the rest is kept", { skip: skipWithoutDatabase }, async (t) => {
  const db = await openEvents(t);
  const [old, fresh] = [anEvent("orders"), anEvent("orders")];
  await addToOutbox(db, [old, fresh]);
  await relayBatch(relayOptions(db, new Recorder()));
  await db.query(AGE, "25 hours", old.id);
  await db.query(AGE, "23 hours", fresh.id);
  const waiting = anEvent("orders");
  const never: Publisher = { publish: () => Promise.reject(new Error("not now")) };
  await addToOutbox(db, [waiting]);
  startRelay(t, relayOptions(db, never));
  const ids = async () => (await db.query<{ event_id: string }>(STATES)).map(({ event_id }) => event_id);
  await eventually("the old one is gone", async () => !(await ids()).includes(old.id));
  assert.deepEqual(await ids(), [fresh.id, waiting.id]);
});

test("Kafka's absence is measured, waited out with growing pauses, and does not hold up a stop", {
  skip: skipWithoutDatabase,
}, async (t) => {
  const db = await openEvents(t);
  const sleptMs: number[] = [];
  let failures = 8;
  const { promise: forever } = Promise.withResolvers<void>();
  const away: Publisher = {
    publish() {
      failures -= 1;
      return failures < 0
        ? forever
        : Promise.reject(new MeshError("unavailable", "BROKER_UNAVAILABLE", "Kafka did not take the events"));
    },
  };
  const clock = {
    ...systemClock,
    sleep(ms: number, signal?: AbortSignal) {
      sleptMs.push(ms);
      return systemClock.sleep(Math.min(ms, 5), signal);
    },
  };
  await addToOutbox(db, [anEvent("orders")]);
  const stop = new AbortController();
  const options = relayOptions(db, away, { clock, signal: stop.signal, log: testLog });
  const running = runRelay(options);
  await eventually("the request hangs", () => failures < 0);
  await eventually("it is measured", async () => (await options.metrics.waiting.get()).values[0]?.value === 1);
  assert.deepEqual(
    sleptMs.filter((ms) => [100, 200, 400, 800, 1_600].includes(ms)),
    [100, 200, 400, 800, 1_600],
  );
  stop.abort();
  await running;
  assert.ok(sleptMs.includes(3_000));
});
