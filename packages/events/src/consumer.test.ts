/** What a batch comes to when handling fails: no sockets, the inbox and Kafka are functions of the test. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { systemClock } from "@ordermesh/mesh/clock";
import { currentContext } from "@ordermesh/mesh/context";
import { MeshError } from "@ordermesh/mesh/errors";
import { createLogger } from "@ordermesh/runtime/log";
import type { Database, Db } from "@ordermesh/runtime/postgres";
import { Registry } from "prom-client";
import { type Batch, type RawRecord, RecordRejected } from "./bus.ts";
import { BatchHandler, startConsumer } from "./consumer.ts";
import { type InboundEvent, type InboundRecord, PoisonEvent, toHeaders } from "./event.ts";
import { createEventMetrics } from "./metrics.ts";

const SECRET = "ada@example.com";

function aRecord(offset: number): InboundRecord {
  const key = randomUUID();
  const event = {
    id: randomUUID(),
    type: "test",
    source: "ordermesh/test",
    topic: "orders",
    key,
    sequence: 1n,
    timeMs: 1_000,
    traceparent: "",
    data: Buffer.from(SECRET),
  };
  const value = Buffer.from(event.data);
  return {
    topic: "orders",
    partition: 0,
    offset: String(offset),
    key: Buffer.from(key),
    value,
    headers: toHeaders(event),
  };
}

type Options = {
  /** Stands for the transaction with the handler: throws what they would throw. */
  readonly apply: (events: readonly InboundEvent[]) => void;
  readonly publish?: (letter: RawRecord) => void;
};

function newHandler({ apply, publish }: Options) {
  const stop = new AbortController();
  const sleptMs: number[] = [];
  const letters: RawRecord[] = [];
  const lines: string[] = [];
  const applied: string[][] = [];
  const options = {
    group: "test",
    topics: ["orders"],
    handle: async () => undefined,
    inbox: async (_db: Database, _consumer: string, events: readonly InboundEvent[]) => {
      applied.push(events.map(({ offset }) => offset));
      apply(events);
      return events.length;
    },
    db: { query: async () => [] } as unknown as Db,
    bus: {
      consume: () => undefined,
      publishRaw: async (records: readonly RawRecord[]) => {
        for (const record of records) {
          publish?.(record);
          letters.push(record);
        }
      },
    },
    log: createLogger({
      service: "test",
      instance: "test",
      version: "",
      level: "debug",
      destination: { write: (line) => void lines.push(line) },
    }),
    metrics: createEventMetrics(new Registry()),
    clock: {
      ...systemClock,
      sleep: async (ms: number) => {
        sleptMs.push(ms);
        assert.ok(sleptMs.length < 1_000, "the consumer never gives up");
      },
    },
    random: () => 0.5,
    signal: stop.signal,
    onFatal: assert.ifError,
  };
  const reasons = () => letters.map(({ headers }) => `${headers.dlq_offset}: ${headers.dlq_reason}`);
  return {
    handler: new BatchHandler(options),
    options,
    stop,
    sleptMs,
    letters,
    reasons,
    applied,
    logged: () => lines.join(""),
  };
}

const unavailable = () => new MeshError("unavailable", "DATABASE_UNAVAILABLE", "the database did not answer");
const isOffset = (offset: number) => (event: InboundEvent) => event.offset === String(offset);
const records = (count: number) => Array.from({ length: count }, (_, index) => aRecord(index));

test("a batch is applied at once", async () => {
  const { handler, applied, letters } = newHandler({ apply: () => undefined });
  await handler.handle(records(3));
  assert.deepEqual(applied, [["0", "1", "2"]]);
  assert.deepEqual(letters, []);
});

test("the poison in a large batch is found in few steps, and the others are applied in their order", async () => {
  const done: string[] = [];
  const { handler, applied, reasons } = newHandler({
    apply(events) {
      if (events.some(isOffset(700))) throw new PoisonEvent("the event's type is unknown");
      done.push(...events.map(({ offset }) => offset));
    },
  });
  await handler.handle(records(1_000));
  assert.deepEqual(reasons(), ["700: the event's type is unknown"]);
  assert.deepEqual(
    done,
    Array.from({ length: 1_000 }, (_, index) => String(index)).filter((offset) => offset !== "700"),
  );
  assert.ok(applied.length <= 21, `${applied.length} transactions`);
});

test("a handler that fails for a reason of its own is tried five times, ever later", async () => {
  const { handler, reasons, sleptMs, logged } = newHandler({
    apply() {
      throw Object.assign(new TypeError("a bug"), { detail: SECRET });
    },
  });
  await handler.handle(records(1));
  assert.deepEqual(reasons(), ["0: the handler failed"]);
  assert.deepEqual(sleptMs, [100, 200, 400, 800]);
  assert.match(logged(), /record sent to the dead letters/);
  assert.match(logged(), /a bug/);
  assert.doesNotMatch(logged(), new RegExp(SECRET));
});

test("a handler that succeeds in the end leaves no dead letter", async () => {
  let failures = 4;
  const { handler, letters } = newHandler({
    apply() {
      failures -= 1;
      if (failures >= 0) throw new Error("not yet");
    },
  });
  await handler.handle(records(1));
  assert.deepEqual(letters, []);
});

for (const error of [
  unavailable(),
  new MeshError("conflict", "DATABASE_CONFLICT", "another transaction was in the way"),
])
  test(`${error.reason} is never a dead letter, however long it lasts`, async () => {
    let failures = 200;
    const { handler, letters, sleptMs } = newHandler({
      apply() {
        failures -= 1;
        if (failures >= 0) throw error;
      },
    });
    await handler.handle(records(3));
    assert.deepEqual(letters, []);
    assert.ok(Math.max(...sleptMs) <= 2_000);
  });

for (const error of [unavailable(), new TypeError("a bug")])
  test(`a stopping process leaves what fails with ${error.name} to the next`, async () => {
    const { handler, letters, stop } = newHandler({
      apply() {
        throw error;
      },
    });
    stop.abort();
    for (const count of [1, 3]) await assert.rejects(handler.handle(records(count)), error);
    assert.deepEqual(letters, []);
  });

test("a dead letter that Kafka refuses for its size is sent without its content", async () => {
  const { handler, letters } = newHandler({
    apply() {
      throw new PoisonEvent("why");
    },
    publish({ value }) {
      if (value !== null) throw new RecordRejected("MESSAGE_TOO_LARGE");
    },
  });
  await handler.handle(records(1));
  assert.deepEqual(
    letters.map(({ headers }) => headers.dlq_content),
    ["left out"],
  );
});

test("a batch whose dead letter cannot be sent is not done", async () => {
  const { handler } = newHandler({
    apply() {
      throw new PoisonEvent("why");
    },
    publish() {
      throw unavailable();
    },
  });
  await assert.rejects(handler.handle(records(1)), { reason: "DATABASE_UNAVAILABLE" });
});

test("the handler runs in a context of the event's trace and source", async () => {
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  let context: ReturnType<typeof currentContext>;
  const { handler } = newHandler({
    apply() {
      context = currentContext();
    },
  });
  const record = aRecord(0);
  await handler.handle([{ ...record, headers: { ...record.headers, traceparent } }]);
  assert.equal(context?.caller, "ordermesh/test");
  assert.match(context?.traceparent ?? "", /^00-a{32}-(?!b{16})[0-9a-f]{16}-01$/);
});

test("offsets are committed after the work, and not when it failed", async () => {
  const steps: string[] = [];
  const { options } = newHandler({ apply: () => undefined });
  const handles: ((batch: Batch) => Promise<void>)[] = [];
  startConsumer({
    ...options,
    signal: AbortSignal.abort(),
    bus: { ...options.bus, consume: (_group: string, _topics: readonly string[], handle) => void handles.push(handle) },
    inbox: async (_db, _consumer, events) => {
      steps.push("work");
      if (events.some(isOffset(1))) throw unavailable();
      return events.length;
    },
  });
  const batch = (offset: number) => ({
    topic: "orders",
    partition: 0,
    records: [aRecord(offset)],
    skip: () => undefined,
    commit: async () => void steps.push("commit"),
  });
  await handles[0]?.(batch(0));
  await assert.rejects(async () => await handles[0]?.(batch(1)));
  assert.deepEqual(steps, ["work", "commit", "work"]);
});
