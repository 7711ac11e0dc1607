/** Shipments in PostgreSQL: made from order events and handed to the carrier when due, each with its event in one statement. */
import { decodeData, type InboundEvent, type OutboundEvent, PoisonEvent } from "@ordermesh/events/event";
import { OUTBOX_CHANNEL, OUTBOX_COLUMNS, outboxArrays, outboxArrayValues } from "@ordermesh/events/outbox";
import { TOPICS } from "@ordermesh/events/topics";
import type { Clock, Random } from "@ordermesh/mesh/clock";
import { childTraceparent } from "@ordermesh/mesh/context";
import { MeshError } from "@ordermesh/mesh/errors";
import { OrderConfirmed, ShipmentCreated, ShipmentDispatched } from "@ordermesh/proto/ordermesh/event/v1/event";
import { type Shipment, ShipmentStatus } from "@ordermesh/proto/ordermesh/shipping/v1/shipping";
import { failpoint } from "@ordermesh/runtime/failpoints";
import { isUuid, type NewId, newId } from "@ordermesh/runtime/ids";
import { type Database, sql, type Tx } from "@ordermesh/runtime/postgres";

const DISPATCH_BATCH = 200;

type DueRow = { order_id: string; email: string; traceparent: string };
type Row = { order_id: string; status: "PREPARING" | "DISPATCHED"; tracking_code: string; updated_at: Date };

const CREATE = sql(
  "shipment_create",
  `WITH made AS (INSERT INTO shipments (order_id, status, email, ship_to, traceparent, due_at)
     SELECT order_id, 'PREPARING', email, ship_to, traceparent, now() + $5 * interval '1 millisecond'
     FROM unnest($1::uuid[], $2::text[], $3::jsonb[], $4::text[]) AS t(order_id, email, ship_to, traceparent)
     ON CONFLICT DO NOTHING RETURNING order_id::text AS key)
   INSERT INTO outbox (${OUTBOX_COLUMNS})
   SELECT ${OUTBOX_COLUMNS} FROM ${outboxArrays(6)} AS e(${OUTBOX_COLUMNS}) JOIN made USING (key)`,
);
const LOCK_DUE = sql(
  "shipment_lock_due",
  `SELECT order_id, email, traceparent FROM shipments WHERE status = 'PREPARING' AND due_at <= now()
   ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED`,
);
const DISPATCH = sql(
  "shipment_dispatch",
  `WITH gone AS (UPDATE shipments s SET status = 'DISPATCHED', tracking_code = t.tracking_code, updated_at = now()
     FROM unnest($1::uuid[], $2::text[]) AS t(order_id, tracking_code) WHERE s.order_id = t.order_id)
   INSERT INTO outbox (${OUTBOX_COLUMNS}) SELECT ${OUTBOX_COLUMNS} FROM ${outboxArrays(3)} AS e(${OUTBOX_COLUMNS})`,
);
const FIND = sql(
  "shipment_find",
  "SELECT order_id, status, tracking_code, updated_at FROM shipments WHERE order_id = $1",
);

type Dependencies = {
  readonly db: Database;
  readonly carrierDelayMs: number;
  readonly clock: Clock;
  readonly random: Random;
  /** Random identifiers unless given. */
  readonly makeId?: NewId;
};

export class Shipments {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** Makes a shipment for each confirmed order. @throws PoisonEvent */
  async create(events: readonly InboundEvent[], tx: Tx): Promise<void> {
    const { carrierDelayMs } = this.#dependencies;
    const orders = events.flatMap((event) => {
      if (event.type === "ordermesh.order.cancelled.v1") return [];
      if (event.type !== "ordermesh.order.confirmed.v1") throw new PoisonEvent("the event's type is unknown");
      return [{ order: decodeData(event, OrderConfirmed), traceparent: event.traceparent }];
    });
    if (orders.length === 0) return;
    const created = orders.map(({ order: { orderId }, traceparent }) => {
      const data = (createdAt: Date) => ShipmentCreated.encode({ orderId, sequence: 1n, createdAt }).finish();
      return this.#event("ordermesh.shipment.created.v1", orderId, 1n, traceparent, data);
    });
    await tx.query(
      CREATE,
      orders.map(({ order }) => order.orderId),
      orders.map(({ order }) => order.email),
      orders.map(({ order }) => JSON.stringify(order.shipTo ?? {})),
      orders.map(({ traceparent }) => traceparent),
      carrierDelayMs,
      ...outboxArrayValues(created),
    );
    tx.notify(OUTBOX_CHANNEL);
  }

  /** Hands what is due to the carrier; resolves with how many. Several processes may do this at the same time. */
  dispatchDue(): Promise<number> {
    return this.#dependencies.db.transaction(async (tx) => {
      const due = await tx.query<DueRow>(LOCK_DUE, DISPATCH_BATCH);
      if (due.length === 0) return 0;
      const codes = due.map(({ order_id }) => trackingCode(order_id));
      const dispatched = due.map(({ order_id: orderId, email, traceparent }) => {
        const data = (dispatchedAt: Date) =>
          ShipmentDispatched.encode({
            orderId,
            sequence: 2n,
            dispatchedAt,
            trackingCode: trackingCode(orderId),
            email,
          }).finish();
        return this.#event("ordermesh.shipment.dispatched.v1", orderId, 2n, traceparent, data);
      });
      const ids = due.map(({ order_id }) => order_id);
      await Promise.all([
        tx.query(DISPATCH, ids, codes, ...outboxArrayValues(dispatched)),
        failpoint("shipping.dispatchSent"),
      ]);
      tx.notify(OUTBOX_CHANNEL);
      return due.length;
    });
  }

  /** @throws MeshError not-found SHIPMENT_UNKNOWN */
  async find(orderId: string): Promise<Shipment> {
    const [row] = isUuid(orderId) ? await this.#dependencies.db.query<Row>(FIND, orderId) : [];
    if (row === undefined) throw new MeshError("not-found", "SHIPMENT_UNKNOWN", "the order has no shipment");
    const { status, tracking_code: code, updated_at: updatedAt } = row;
    return { orderId, status: ShipmentStatus[`SHIPMENT_STATUS_${status}`], trackingCode: code, updatedAt };
  }

  #event(type: string, key: string, sequence: bigint, parent: string, data: (at: Date) => Uint8Array): OutboundEvent {
    const { clock, random, makeId = newId } = this.#dependencies;
    const timeMs = clock.wallMs();
    const traceparent = childTraceparent(parent, random);
    return {
      id: makeId(timeMs),
      type,
      source: "ordermesh/shipping",
      topic: TOPICS.shipments,
      key,
      sequence,
      timeMs,
      traceparent,
      data: data(new Date(timeMs)),
    };
  }
}

/** A code that the carrier would give; derived, so that a repeated dispatch cannot give another one. */
export function trackingCode(orderId: string): string {
  return `OM-${orderId.replaceAll("-", "").slice(-12).toUpperCase()}`;
}
