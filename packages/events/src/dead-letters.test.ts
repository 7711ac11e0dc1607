/** Dead letters keep what is needed to send them back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Remaining, revive, toDeadLetter, withoutContent } from "./dead-letters.ts";
import type { InboundRecord } from "./event.ts";

const RECORD: InboundRecord = {
  topic: "orders",
  partition: 2,
  offset: "17",
  key: Buffer.from("key"),
  value: Buffer.from([0xff, 0x00]),
  headers: { ce_id: Buffer.from([0xff]), twice: ["first", "second"], traceparent: "t", nothing: undefined },
};
const asReceived = (letter: ReturnType<typeof toDeadLetter>): InboundRecord => ({
  ...RECORD,
  ...letter,
  key: Buffer.from("key"),
});

test("a dead letter is the record with its reason and coordinates", () => {
  assert.deepEqual(toDeadLetter(RECORD, "shipping", "the value is empty"), {
    topic: "dead-letters",
    key: RECORD.key,
    value: RECORD.value,
    headers: {
      ce_id: Buffer.from([0xff]),
      twice: "first",
      traceparent: "t",
      dlq_topic: "orders",
      dlq_partition: "2",
      dlq_offset: "17",
      dlq_group: "shipping",
      dlq_reason: "the value is empty",
    },
  });
});

test("a dead letter goes back as the record that it was", () => {
  assert.deepEqual(revive(asReceived(toDeadLetter(RECORD, "shipping", "why"))), {
    topic: "orders",
    key: Buffer.from("key"),
    value: RECORD.value,
    headers: { ce_id: Buffer.from([0xff]), twice: "first", traceparent: "t" },
  });
});

test("a dead letter that was too large tells where its record is and does not go back", () => {
  const letter = withoutContent(toDeadLetter(RECORD, "shipping", "why"));
  assert.equal(letter.value, null);
  assert.deepEqual(letter.headers, {
    dlq_topic: "orders",
    dlq_partition: "2",
    dlq_offset: "17",
    dlq_group: "shipping",
    dlq_reason: "why",
    dlq_content: "left out",
  });
  assert.equal(revive(asReceived(letter)), undefined);
});

test("a record that never was a dead letter does not go anywhere", () => {
  assert.equal(revive(RECORD), undefined);
});

test("what came after the beginning of a replay does not end it before its time", () => {
  const left = new Remaining(
    new Map([
      [0, 12n],
      [1, 3n],
    ]),
  );
  left.handled(0, "20");
  left.handled(2, "5");
  assert.equal(left.isEmpty, false);
  left.handled(1, "1");
  assert.equal(left.isEmpty, false);
  left.handled(1, "2");
  assert.equal(left.isEmpty, true);
});
