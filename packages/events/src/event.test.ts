/** Events as records and back: nothing in a record is believed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BAD_RECORDS } from "../test/bad-records.ts";
import type { RawRecord } from "./bus.ts";
import { decodeData, type InboundRecord, type OutboundEvent, PoisonEvent, toEvent, toHeaders } from "./event.ts";

const TRACEPARENT = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
const EVENT: OutboundEvent = {
  id: "0190a0a0-0000-7000-8000-000000000001",
  type: "ordermesh.order.confirmed.v1",
  source: "ordermesh/order",
  topic: "orders",
  key: "0190a0a0-0000-7000-8000-000000000002",
  sequence: 3n,
  timeMs: Date.UTC(2026, 10, 23, 12, 0, 0, 123),
  traceparent: TRACEPARENT,
  data: Buffer.from("payload"),
};
const GOOD: RawRecord = { topic: "orders", key: EVENT.key, value: Buffer.from(EVENT.data), headers: toHeaders(EVENT) };

/** As kafkajs gives it: keys and headers are bytes. */
function received({ topic, key, value, headers }: RawRecord): InboundRecord {
  const bytes = Object.entries(headers).map(([name, content]) => [name, Buffer.from(content)]);
  return {
    topic,
    partition: 1,
    offset: "42",
    key: key === null ? null : Buffer.from(key),
    value,
    headers: Object.fromEntries(bytes),
  };
}

test("an event survives its way through a record", () => {
  assert.deepEqual(toEvent(received(GOOD)), { ...EVENT, partition: 1, offset: "42" });
});

test("the headers are those of CloudEvents 1.0 in binary mode", () => {
  assert.deepEqual(toHeaders(EVENT), {
    ce_specversion: "1.0",
    ce_id: EVENT.id,
    ce_type: "ordermesh.order.confirmed.v1",
    ce_source: "ordermesh/order",
    ce_subject: EVENT.key,
    ce_time: "2026-11-23T12:00:00.123Z",
    ce_sequence: "3",
    "content-type": "application/protobuf",
    traceparent: TRACEPARENT,
  });
});

for (const { what, reason, change } of BAD_RECORDS)
  test(`a record with ${what} is poison`, () => {
    const record = received({ ...GOOD, ...change(GOOD) });
    assert.throws(
      () => toEvent(record),
      (error) => error instanceof PoisonEvent && error.message === reason,
    );
  });

for (const traceparent of ["", "not a trace", `00-${"0".repeat(32)}-${"b".repeat(16)}-01`, `${TRACEPARENT}\u0000`, "é"])
  test(`the trace ${JSON.stringify(traceparent)} is not believed, and the event is`, () => {
    const { traceparent: read } = toEvent(received({ ...GOOD, headers: { ...GOOD.headers, traceparent } }));
    assert.equal(read, "");
  });

for (const time of ["1970-01-01T00:00:00Z", "2099-12-31T23:59:59Z"])
  test(`an event of ${time.slice(0, 4)} is an event`, () => {
    const { timeMs } = toEvent(received({ ...GOOD, headers: { ...GOOD.headers, ce_time: time } }));
    assert.equal(timeMs, Date.parse(time));
  });

test("a header that came twice counts once", () => {
  const record = received(GOOD);
  const twice = [Buffer.from(EVENT.id), Buffer.from("0190a0a0-0000-7000-8000-00000000beef")];
  assert.equal(toEvent({ ...record, headers: { ...record.headers, ce_id: twice } }).id, EVENT.id);
});

test("data that cannot be decoded, or that tells of another order, is poison", () => {
  const event = toEvent(received(GOOD));
  const isPoison = (message: string) => (error: unknown) => error instanceof PoisonEvent && error.message === message;
  const broken = {
    decode(): never {
      throw new RangeError("index out of range: payload");
    },
  };
  assert.throws(() => decodeData(event, broken), isPoison("the value is no ordermesh.order.confirmed.v1"));
  const foreign = { decode: () => ({ orderId: EVENT.id }) };
  assert.throws(() => decodeData(event, foreign), isPoison("the order in the value is not the key"));
  const right = { decode: () => ({ orderId: EVENT.key }) };
  assert.deepEqual(decodeData(event, right), { orderId: EVENT.key });
});
