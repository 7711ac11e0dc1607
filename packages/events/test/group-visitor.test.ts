/** A visitor in a real consumer group. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { testLog } from "@ordermesh/local/under-test";
import { systemClock } from "@ordermesh/mesh/clock";
import { GroupVisitor } from "../src/group-visitor.ts";
import { anEvent, BROKERS, eventually, newTopic, openBus, skip } from "./fixtures.ts";

const KAFKA = { brokers: BROKERS, clientId: "visitor", log: testLog, clock: systemClock };

test("a visitor gets partitions, takes the group back by some records, and the group reads them again", {
  skip,
}, async (t) => {
  const bus = openBus(t);
  const topic = await newTopic(bus);
  const group = `test-${randomUUID()}`;
  const seen: string[] = [];
  const handle: Parameters<typeof bus.consume>[2] = async ({ records, commit }) => {
    seen.push(...records.map(({ headers }) => headers.ce_id?.toString() ?? ""));
    await commit();
  };
  bus.consume(group, [topic], handle, (error) => assert.fail(error));
  const events = Array.from({ length: 30 }, () => anEvent(topic));
  await bus.publish(events);
  await eventually("all events", () => new Set(seen).size === events.length);
  await eventually("all commits", async () => (await bus.unread(group, topic)).size === 0);
  const visitor = await GroupVisitor.join(KAFKA, group, [topic]);
  assert.ok((visitor.assigned[topic]?.length ?? 0) > 0);
  const before = seen.length;
  const back = await visitor.rewind(topic, 2);
  await visitor.leave();
  assert.ok(back > 0 && back <= 2 * (visitor.assigned[topic]?.length ?? 0), `${back} records`);
  await eventually("the same again", () => seen.length >= before + back);
  const next = anEvent(topic);
  await bus.publish([next]);
  await eventually("the next one", () => seen.includes(next.id));
});

test("a group that has read nothing has no place for a visitor", { skip }, async (t) => {
  const topic = await newTopic(openBus(t));
  await assert.rejects(GroupVisitor.join(KAFKA, `test-${randomUUID()}`, [topic]), /has handled nothing yet/);
});
