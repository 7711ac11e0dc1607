/** Shipments from events, over real gRPC on a real PostgreSQL: one for each confirmed order, told of once, whatever fails. */
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
import { ShipmentStatus, ShippingServiceDefinition } from "@ordermesh/proto/ordermesh/shipping/v1/shipping";
import { armFailpoints } from "@ordermesh/runtime/failpoints";
import { sql } from "@ordermesh/runtime/postgres";
import { shippingService } from "../src/server.ts";
import { Shipments, trackingCode } from "../src/shipments.ts";

const migrations = [
  { dir: EVENTS_MIGRATIONS, table: EVENTS_TABLE },
  { dir: new URL("../migrations/", import.meta.url), table: "shipping_migrations" },
];
const OUTBOX = sql("test_outbox", "SELECT type, key, sequence, traceparent, data FROM outbox ORDER BY id");
const COUNT = sql("test_count", "SELECT count(*) AS shipments FROM shipments");
const TRACE_ID = "ab".repeat(16);

type OutboxRow = { type: string; key: string; sequence: bigint; traceparent: string; data: Buffer };

async function start(t: TestContext, carrierDelayMs = 0) {
  const { db, metrics } = await openDatabase(t, migrations);
  const random = Math.random;
  const shipments = new Shipments({ db, carrierDelayMs, clock, random });
  const letters: RawRecord[] = [];
  const consumer = new BatchHandler({
    group: "shipping",
    topics: ["orders"],
    handle: (...batch) => shipments.create(...batch),
    db,
    bus: { consume: assert.fail, publishRaw: async (records) => void letters.push(...records) },
    log: testLog,
    metrics: createEventMetrics(metrics.registry),
    clock,
    random,
    signal: new AbortController().signal,
    onFatal: assert.ifError,
  });
  let offset = 0;
  const consume = (events: readonly OrderEvent[]) =>
    consumer.handle(events.map((event) => ({ ...event, partition: 0, offset: String(offset++) })));
  const shipping = await clientOf(t, ShippingServiceDefinition, shippingService(shipments));
  const outbox = () => db.query<OutboxRow>(OUTBOX);
  const count = async () => Number((await db.query<{ shipments: bigint }>(COUNT))[0]?.shipments);
  return { shipments, consume, letters, shipping, outbox, count };
}

type OrderEvent = { topic: string; key: Buffer; value: Buffer; headers: Record<string, string> };

function orderEvent(orderId: string, type: string, data: Uint8Array, sequence = 1n): OrderEvent {
  const headers = toHeaders({
    id: randomUUID(),
    type,
    source: "ordermesh/order",
    topic: "orders",
    key: orderId,
    sequence,
    timeMs: Date.now(),
    traceparent: `00-${TRACE_ID}-${"cd".repeat(8)}-01`,
    data,
  });
  return { topic: "orders", key: Buffer.from(orderId), value: Buffer.from(data), headers };
}

const shipTo = {
  name: "Ada Lovelace",
  street: "12 St James Square",
  city: "London",
  postalCode: "SW1Y 4JH",
  country: "GB",
};

function confirmed(orderId: string, sequence = 1n, name = "Ada Lovelace"): OrderEvent {
  const message = {
    orderId,
    sequence,
    confirmedAt: new Date(),
    email: "ada@example.com",
    shipTo: { ...shipTo, name },
    lines: [],
    total: undefined,
  };
  return orderEvent(orderId, "ordermesh.order.confirmed.v1", OrderConfirmed.encode(message).finish(), sequence);
}

function cancelled(orderId: string): OrderEvent {
  const message = { orderId, sequence: 1n, cancelledAt: new Date(), email: "ada@example.com", reason: "CUSTOMER" };
  return orderEvent(orderId, "ordermesh.order.cancelled.v1", OrderCancelled.encode(message).finish());
}

afterEach(() => armFailpoints(""));

test("a confirmed order is prepared, then dispatched, and both are told in its trace", { skip }, async (t) => {
  const { shipments, consume, shipping, outbox } = await start(t);
  const orderId = randomUUID();
  await consume([confirmed(orderId)]);
  const { shipment: prepared } = await shipping.getShipment({ orderId });
  assert.deepEqual([prepared?.status, prepared?.trackingCode], [ShipmentStatus.SHIPMENT_STATUS_PREPARING, ""]);
  assert.equal(await shipments.dispatchDue(), 1);
  assert.equal(await shipments.dispatchDue(), 0);
  const { shipment: dispatched } = await shipping.getShipment({ orderId });
  const code = trackingCode(orderId);
  assert.deepEqual([dispatched?.status, dispatched?.trackingCode], [ShipmentStatus.SHIPMENT_STATUS_DISPATCHED, code]);
  const [first, second] = await outbox();
  assert.deepEqual([first?.type, first?.sequence], ["ordermesh.shipment.created.v1", 1n]);
  assert.equal(ShipmentCreated.decode(first?.data ?? assert.fail()).orderId, orderId);
  assert.deepEqual([second?.type, second?.sequence], ["ordermesh.shipment.dispatched.v1", 2n]);
  const told = ShipmentDispatched.decode(second?.data ?? assert.fail());
  assert.deepEqual([told.orderId, told.trackingCode, told.email], [orderId, code, "ada@example.com"]);
  for (const row of [first, second]) assert.match(row?.traceparent ?? "", new RegExp(`^00-${TRACE_ID}-(?!cd{8})`));
});

test("a carrier that is not due takes nothing", { skip }, async (t) => {
  const { shipments, consume } = await start(t, 3_600_000);
  await consume([confirmed(randomUUID())]);
  assert.equal(await shipments.dispatchDue(), 0);
});

test("a batch makes a shipment for each confirmed order once, and none for cancelled ones", { skip }, async (t) => {
  const { consume, outbox, count } = await start(t);
  const events = Array.from({ length: 100 }, () => confirmed(randomUUID()));
  const [first = assert.fail()] = events;
  const again = confirmed(first.key.toString(), 2n);
  await consume([...events, cancelled(randomUUID()), first, again]);
  await consume([...events, again]);
  assert.equal(await count(), 100);
  const rows = await outbox();
  assert.equal(new Set(rows.map(({ key, sequence }) => `${key} ${sequence}`)).size, 100);
});

test("what is no order event is a dead letter, and the orders beside it are shipped", { skip }, async (t) => {
  const { consume, letters, count } = await start(t);
  const good = [confirmed(randomUUID()), confirmed(randomUUID())];
  const base = confirmed(randomUUID());
  const bad = [
    { ...base, value: base.value.subarray(0, 30) },
    { ...base, value: Buffer.from([0x0b, 0x0b, 0x0b]) },
    { ...base, value: Buffer.from([0x10, 0x01]) },
    { ...base, value: good[0]?.value ?? assert.fail() },
    { ...base, headers: { ...base.headers, ce_type: "ordermesh.order.teleported.v1" } },
  ];
  await consume(bad.flatMap((event, index) => [good[index] ?? confirmed(randomUUID()), event]));
  assert.equal(await count(), bad.length);
  assert.deepEqual(
    letters.map(({ headers }) => headers.dlq_reason),
    [
      "the value is no ordermesh.order.confirmed.v1",
      "the value is no ordermesh.order.confirmed.v1",
      "the order in the value is not the key",
      "the order in the value is not the key",
      "the event's type is unknown",
    ],
  );
});

test("an address that no database takes is a dead letter", { skip }, async (t) => {
  const { consume, letters, count } = await start(t);
  await consume([confirmed(randomUUID(), 1n, "A\u0000da"), confirmed(randomUUID())]);
  assert.equal(await count(), 1);
  assert.deepEqual(
    letters.map(({ headers }) => headers.dlq_reason),
    ["the handler failed"],
  );
});

test("dispatchers at the same time, one of them failing, hand each shipment over once", { skip }, async (t) => {
  const { shipments, consume, outbox } = await start(t);
  await consume(Array.from({ length: 500 }, () => confirmed(randomUUID())));
  armFailpoints("shipping.dispatchSent=1*error");
  const rounds = await Promise.allSettled(Array.from({ length: 6 }, () => shipments.dispatchDue()));
  assert.equal(rounds.filter(({ status }) => status === "rejected").length, 1);
  while ((await shipments.dispatchDue()) > 0);
  const dispatched = (await outbox()).filter(({ sequence }) => sequence === 2n);
  assert.equal(dispatched.length, 500);
  assert.equal(new Set(dispatched.map(({ key }) => key)).size, 500);
});

for (const orderId of ["", "1", "../../etc/passwd", "\u0000", "0190a0a0-0000-7000-8000-000000000000", "' OR 1=1 --"])
  test(`the shipment of ${JSON.stringify(orderId)} is not found`, { skip }, async (t) => {
    const { shipping } = await start(t);
    await assert.rejects(shipping.getShipment({ orderId }), { kind: "not-found", reason: "SHIPMENT_UNKNOWN" });
  });
