/** What the tests of events share: real Kafka and PostgreSQL, events, and a consumer whose effects can be counted. */
import { randomUUID } from "node:crypto";
import { env } from "node:process";
import type { TestContext } from "node:test";
import { openDatabase, skipWithoutPostgres, testLog } from "@ordermesh/local/under-test";
import { systemClock } from "@ordermesh/mesh/clock";
import { type Db, sql } from "@ordermesh/runtime/postgres";
import { Registry } from "prom-client";
import type { RawRecord } from "../src/bus.ts";
import { type ConsumerOptions, startConsumer } from "../src/consumer.ts";
import { type InboundRecord, type OutboundEvent, toHeaders } from "../src/event.ts";
import type { Handle } from "../src/inbox.ts";
import { KafkaBus } from "../src/kafka.ts";
import { createEventMetrics } from "../src/metrics.ts";
import {
  EVENTS_MIGRATIONS,
  EVENTS_TABLE,
  OUTBOX_CHANNEL,
  OUTBOX_COLUMNS,
  outboxArrays,
  outboxArrayValues,
} from "../src/outbox.ts";
import type { Publisher, RelayOptions } from "../src/relay.ts";
import { TOPICS } from "../src/topics.ts";

const { MESH_KAFKA_BROKERS } = env;
const POLL_MS = 10;
const PATIENCE_MS = 30_000;

/** For the `skip` option of a test that needs PostgreSQL, or Kafka as well. */
export const skipWithoutDatabase = skipWithoutPostgres;
export const skip =
  skipWithoutPostgres || (MESH_KAFKA_BROKERS === undefined && "MESH_KAFKA_BROKERS is not set: run `make test`");

export const BROKERS = MESH_KAFKA_BROKERS?.split(",") ?? [];

/** Open it before a database: what is opened first is closed first. */
export function openBus(t: TestContext, log = testLog): KafkaBus {
  const bus = new KafkaBus({ brokers: BROKERS, clientId: "test", log, clock: systemClock });
  t.after(() => bus.close());
  return bus;
}

/** Makes a topic of the test's own, and the topic of the dead letters. */
export async function newTopic(bus: KafkaBus): Promise<string> {
  const topic = `test-${randomUUID()}`;
  await bus.ensureTopics(1, [topic, TOPICS.deadLetters]);
  return topic;
}

const EFFECTS_TABLE = sql(
  "effects_table",
  "CREATE TABLE effects (id bigserial, event_id uuid, key text, sequence bigint)",
);
const EFFECTS_ADD = sql(
  "effects_add",
  "INSERT INTO effects (event_id, key, sequence) SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[])",
);
const EFFECTS = sql("effects", "SELECT event_id, key, sequence FROM effects ORDER BY id");

export type Effect = { readonly event_id: string; readonly key: string; readonly sequence: bigint };

export async function openEvents(t: TestContext): Promise<Db> {
  const { db } = await openDatabase(t, [{ dir: EVENTS_MIGRATIONS, table: EVENTS_TABLE }]);
  await db.query(EFFECTS_TABLE);
  return db;
}

/** Not idempotent: what is handled twice has two effects. */
export const addEffects: Handle = async (events, tx) => {
  const column = <T>(pick: (event: (typeof events)[number]) => T) => events.map(pick);
  await tx.query(
    EFFECTS_ADD,
    column(({ id }) => id),
    column(({ key }) => key),
    column(({ sequence }) => sequence),
  );
};

export function effectsOf(db: Db): Promise<Effect[]> {
  return db.query<Effect>(EFFECTS);
}

export function anEvent(topic: string, fields: Partial<OutboundEvent> = {}): OutboundEvent {
  return {
    id: randomUUID(),
    type: "test",
    source: "ordermesh/test",
    topic,
    key: randomUUID(),
    sequence: 1n,
    timeMs: Date.now(),
    traceparent: "",
    data: Buffer.from("data"),
    ...fields,
  };
}

export function toRecord(event: OutboundEvent): RawRecord {
  return { topic: event.topic, key: event.key, value: Buffer.from(event.data), headers: toHeaders(event) };
}

const OUTBOX_ADD = sql(
  "outbox_add",
  `INSERT INTO outbox (${OUTBOX_COLUMNS}) SELECT ${OUTBOX_COLUMNS} FROM ${outboxArrays(1)} AS e(${OUTBOX_COLUMNS})`,
);

export async function addToOutbox(db: Db, events: readonly OutboundEvent[]): Promise<void> {
  await db.query(OUTBOX_ADD, ...outboxArrayValues(events));
  db.notify(OUTBOX_CHANNEL);
}

export function relayOptions(db: Db, bus: Publisher, fields: Partial<RelayOptions> = {}): RelayOptions {
  return {
    db,
    bus,
    holder: "relay-1",
    chunk: 200,
    log: testLog,
    metrics: createEventMetrics(new Registry()),
    clock: systemClock,
    signal: new AbortController().signal,
    ...fields,
  };
}

/** A consumer in a group of its own whose handler is `addEffects`; stops with the bus. */
export function consumeInto(
  t: TestContext,
  fields: Pick<ConsumerOptions, "db" | "topics"> & { bus: KafkaBus } & Partial<ConsumerOptions>,
): ConsumerOptions {
  const stop = new AbortController();
  t.after(() => stop.abort());
  const options = {
    group: `test-${randomUUID()}`,
    handle: addEffects,
    log: testLog,
    metrics: createEventMetrics(new Registry()),
    clock: systemClock,
    random: Math.random,
    signal: stop.signal,
    onFatal(error: Error) {
      throw error;
    },
    ...fields,
  };
  startConsumer(options);
  return options;
}

/** Collects a topic's records as they come, in a group of its own. */
export function collect(bus: KafkaBus, topic: string, from: InboundRecord[] = []): InboundRecord[] {
  const handle = async ({ records, commit }: { records: readonly InboundRecord[]; commit(): Promise<void> }) => {
    from.push(...records);
    await commit();
  };
  bus.consume(`test-${randomUUID()}`, [topic], handle, (error) => {
    throw error;
  });
  return from;
}

/** Resolves with the first value of `read` that is neither undefined nor false; fails naming `what` after half a minute. */
export async function eventually<T>(
  what: string,
  read: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const endsMs = systemClock.nowMs() + PATIENCE_MS;
  for (;;) {
    const value = await read();
    if (value !== undefined && value !== false) return value;
    if (systemClock.nowMs() > endsMs) throw new Error(`never happened: ${what}`);
    await systemClock.sleep(POLL_MS);
  }
}

/** Waits until there are `count` effects, and resolves with all. */
export function untilEffects(db: Db, count: number): Promise<Effect[]> {
  return eventually(`${count} effects`, async () => {
    const effects = await effectsOf(db);
    return effects.length >= count && effects;
  });
}
