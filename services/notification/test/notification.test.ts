/** Notifications from events, over real gRPC on a real PostgreSQL: each told once, whatever is repeated or fails. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { afterEach, type TestContext, test } from "node:test";
import type { RawRecord } from "@ordermesh/events/bus";
import { BatchHandler } from "@ordermesh/events/consumer";
import { toHeaders } from "@ordermesh/events/event";
import { createEventMetrics } from "@ordermesh/events/metrics";
import { EVENTS_MIGRATIONS, EVENTS_TABLE } from "@ordermesh/events/outbox";
import { clientOf, openDatabase, skipWithoutPostgres as skip, testLog } from "@ordermesh/local/under-test";
import { systemClock as clock } from "@ordermesh/mesh/clock";
import {
  OrderCancelled,
  OrderConfirmed,
  ShipmentCreated,
  ShipmentDispatched,
} from "@ordermesh/proto/ordermesh/event/v1/event";
import {
  NotificationKind,
  NotificationServiceDefinition,
} from "@ordermesh/proto/ordermesh/notification/v1/notification";
import { armFailpoints } from "@ordermesh/runtime/failpoints";
import { sql } from "@ordermesh/runtime/postgres";
import { type Deliver, Messages } from "../src/messages.ts";
import { notificationService } from "../src/server.ts";

const migrations = [
  { dir: EVENTS_MIGRATIONS, table: EVENTS_TABLE },
  { dir: new URL("../migrations/", import.meta.url), table: "notification_migrations" },
];
const MAILBOX = sql("test_mailbox", "SELECT order_id, kind FROM mailbox.deliveries ORDER BY id");
const END_CLAIMS = sql("test_end_claims", "UPDATE messages SET claimed_until = now()");
const LIMIT = 200;
const EMAIL = "ada@example.com";
const NOW = new Date();

async function start(t: TestContext) {
  const { db, metrics } = await openDatabase(t, migrations);
  const messages = new Messages(db, clock);
  const letters: RawRecord[] = [];
  const consumer = new BatchHandler({
    group: "notification",
    topics: ["orders", "shipments"],
    handle: (...batch) => messages.queue(...batch),
    db,
    bus: { consume: assert.fail, publishRaw: async (records) => void letters.push(...records) },
    log: testLog,
    metrics: createEventMetrics(metrics.registry),
    clock,
    random: Math.random,
    signal: new AbortController().signal,
    onFatal: assert.ifError,
  });
  let offset = 0;
  const consume = (events: readonly AnEvent[]) =>
    consumer.handle(events.map((event) => ({ ...event, partition: 0, offset: String(offset++) })));
  const toMailbox: Deliver = (batch) => messages.deliverToMailbox(batch);
  return {
    messages,
    consume,
    letters,
    send: (deliver = toMailbox, limit = LIMIT) => messages.sendWaiting(deliver, limit),
    endClaims: () => db.query(END_CLAIMS),
    mailbox: () => db.query<{ order_id: string; kind: string }>(MAILBOX),
    notification: await clientOf(t, NotificationServiceDefinition, notificationService(messages)),
  };
}

type AnEvent = { topic: string; key: Buffer; value: Buffer; headers: Record<string, string> };

function anEvent(topic: string, key: string, type: string, data: Uint8Array, sequence = 1n): AnEvent {
  const event = {
    id: randomUUID(),
    type,
    source: "ordermesh/test",
    topic,
    key,
    sequence,
    timeMs: Date.now(),
    traceparent: "",
    data,
  };
  return { topic, key: Buffer.from(key), value: Buffer.from(data), headers: toHeaders(event) };
}

function confirmed(orderId: string): AnEvent {
  const message = {
    orderId,
    sequence: 1n,
    confirmedAt: NOW,
    email: EMAIL,
    shipTo: undefined,
    lines: [],
    total: undefined,
  };
  return anEvent("orders", orderId, "ordermesh.order.confirmed.v1", OrderConfirmed.encode(message).finish());
}

function cancelled(orderId: string): AnEvent {
  const message = { orderId, sequence: 1n, cancelledAt: NOW, email: EMAIL, reason: "CUSTOMER" };
  return anEvent("orders", orderId, "ordermesh.order.cancelled.v1", OrderCancelled.encode(message).finish());
}

function created(orderId: string): AnEvent {
  const message = { orderId, sequence: 1n, createdAt: NOW };
  return anEvent("shipments", orderId, "ordermesh.shipment.created.v1", ShipmentCreated.encode(message).finish());
}

function dispatched(orderId: string): AnEvent {
  const message = { orderId, sequence: 2n, dispatchedAt: NOW, trackingCode: "OM-1", email: EMAIL };
  const data = ShipmentDispatched.encode(message).finish();
  return anEvent("shipments", orderId, "ordermesh.shipment.dispatched.v1", data, 2n);
}

afterEach(() => armFailpoints(""));

test("a customer is told that an order is confirmed and on its way, and nothing of its preparation", {
  skip,
}, async (t) => {
  const { consume, send, notification, mailbox } = await start(t);
  const orderId = randomUUID();
  await consume([confirmed(orderId)]);
  const { notifications: waiting } = await notification.listNotifications({ orderId });
  assert.deepEqual(
    waiting.map(({ sentAt }) => sentAt),
    [undefined],
  );
  assert.equal(await send(), 1);
  await consume([created(orderId), dispatched(orderId)]);
  assert.equal(await send(), 1);
  assert.equal(await send(), 0);
  const { notifications } = await notification.listNotifications({ orderId });
  assert.deepEqual(
    notifications.map(({ kind }) => kind),
    [NotificationKind.NOTIFICATION_KIND_ORDER_CONFIRMED, NotificationKind.NOTIFICATION_KIND_ORDER_SHIPPED],
  );
  for (const { sentAt } of notifications) assert.ok(sentAt instanceof Date);
  assert.deepEqual(
    (await mailbox()).map(({ kind }) => kind),
    ["ORDER_CONFIRMED", "ORDER_SHIPPED"],
  );
});

test("a repeated event is told once", { skip }, async (t) => {
  const { consume, send, mailbox } = await start(t);
  const event = cancelled(randomUUID());
  await consume([event, event]);
  await consume([event]);
  await send();
  assert.deepEqual(
    (await mailbox()).map(({ kind }) => kind),
    ["ORDER_CANCELLED"],
  );
});

test("what is no event of ours is a dead letter, and the others are told", { skip }, async (t) => {
  const { consume, letters, send } = await start(t);
  const base = confirmed(randomUUID());
  await consume([
    { ...base, value: base.value.subarray(0, 20) },
    confirmed(randomUUID()),
    { ...base, headers: { ...base.headers, ce_type: "ordermesh.order.teleported.v1" } },
    { ...base, value: confirmed(randomUUID()).value },
  ]);
  assert.equal(await send(), 1);
  assert.deepEqual(
    letters.map(({ headers }) => headers.dlq_reason),
    [
      "the value is no ordermesh.order.confirmed.v1",
      "the event's type is unknown",
      "the order in the value is not the key",
    ],
  );
});

test("a failure between sending and marking sends again under the same id, which the receiver drops", {
  skip,
}, async (t) => {
  const { consume, send, endClaims, mailbox } = await start(t);
  await consume([confirmed(randomUUID()), confirmed(randomUUID())]);
  armFailpoints("notification.sent=1*error");
  await assert.rejects(send(), { name: "FailpointError" });
  assert.equal(await send(), 0);
  await endClaims();
  assert.equal(await send(), 2);
  assert.equal((await mailbox()).length, 2);
});

test("senders at the same time take different messages", { skip }, async (t) => {
  const { consume, send, mailbox } = await start(t);
  await consume(Array.from({ length: 300 }, () => confirmed(randomUUID())));
  const taken: string[] = [];
  const deliver: Deliver = async (batch) => {
    taken.push(...batch.map(({ notification_id }) => notification_id));
    return batch;
  };
  await Promise.all(Array.from({ length: 6 }, () => send(deliver, 50)));
  while ((await send(deliver, 50)) > 0);
  assert.equal(taken.length, 300);
  assert.equal(new Set(taken).size, 300);
  assert.deepEqual(await mailbox(), []);
});

test("what is not delivered waits for the end of its claim, the rest is done", { skip }, async (t) => {
  const { messages, consume, send, endClaims, mailbox } = await start(t);
  await consume([confirmed(randomUUID()), confirmed(randomUUID()), confirmed(randomUUID())]);
  const onlyFirst: Deliver = (batch) => messages.deliverToMailbox(batch.slice(0, 1));
  assert.equal(await send(onlyFirst), 1);
  assert.equal(await send(), 0);
  await endClaims();
  assert.equal(await send(), 2);
  assert.equal((await mailbox()).length, 3);
});

for (const orderId of ["", "1", "\u0000", "' OR 1=1 --", "0190a0a0-0000-7000-8000-000000000000"])
  test(`there are no notifications of ${JSON.stringify(orderId)}`, { skip }, async (t) => {
    const { notification } = await start(t);
    assert.deepEqual(await notification.listNotifications({ orderId }), { notifications: [] });
  });
