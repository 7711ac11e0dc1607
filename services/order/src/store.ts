/** Orders in PostgreSQL: each step of an order's life is one statement, guarded by the version it was decided on. */

import type { OutboundEvent } from "@ordermesh/events/event";
import { OUTBOX_CHANNEL, OUTBOX_COLUMNS, outboxParameters, outboxValues } from "@ordermesh/events/outbox";
import type { Address } from "@ordermesh/proto/ordermesh/order/v1/order";
import { failpoint } from "@ordermesh/runtime/failpoints";
import { type Database, sql, type Tx } from "@ordermesh/runtime/postgres";
import type { CancelReason, SagaInput, SagaState } from "./saga.ts";

/** A line as it is stored; JSON has no bigint, so the price is text. */
export type StoredLine = {
  readonly sku: string;
  readonly name: string;
  readonly quantity: number;
  readonly unitPriceMinor: string;
};

export type OrderRow = {
  readonly order_id: string;
  readonly customer_id: string;
  readonly email: string;
  readonly ship_to: Address;
  readonly lines: readonly StoredLine[];
  readonly total_minor: bigint;
  readonly currency: string;
  readonly payment_token: string | null;
  readonly state: SagaState;
  readonly cancel_reason: CancelReason | null;
  readonly cancel_requested: boolean;
  readonly shipment: "PREPARING" | "SHIPPED" | null;
  readonly tracking_code: string;
  readonly version: bigint;
  readonly attempts: number;
  readonly traceparent: string;
  readonly placed_at: Date;
  readonly updated_at: Date;
  /** By the database's clock, which is the same for all processes. */
  readonly age_ms: number;
};

export type NewOrder = {
  readonly orderId: string;
  readonly customerId: string;
  readonly key: string;
  readonly hash: Buffer;
  readonly email: string;
  readonly shipTo: Address;
  readonly lines: readonly StoredLine[];
  readonly totalMinor: bigint;
  readonly currency: string;
  readonly paymentToken: string;
  readonly traceparent: string;
  /** The caller drives it at once; otherwise it waits to be claimed. */
  readonly isDriven: boolean;
};

export type Transition = {
  readonly input: SagaInput;
  readonly to: SagaState;
  readonly reason: CancelReason | undefined;
};
export type Shipment = {
  readonly orderId: string;
  readonly shipment: "PREPARING" | "SHIPPED";
  readonly trackingCode: string;
};

/** Carries the ids of orders whose customer can see a change. */
export const ORDER_CHANNEL = "order_changed";

const AGE = "(extract(epoch FROM now() - placed_at) * 1000)::float8 AS age_ms";
const OPEN = "('RESERVING', 'CHARGING', 'COMMITTING', 'REFUNDING', 'RELEASING')";

const ACCEPT = sql(
  "order_accept",
  `WITH key AS (INSERT INTO idempotency (customer_id, key, request_hash, order_id) VALUES ($2, $3, $4, $1)
     ON CONFLICT DO NOTHING RETURNING order_id),
   made AS (INSERT INTO orders (order_id, customer_id, email, ship_to, lines, total_minor, currency, payment_token, traceparent, state, lease_until)
     SELECT order_id, $2, $5, $6, $7, $8, $9, $10, $11, 'RESERVING', now() + $12 * interval '1 millisecond' FROM key RETURNING *),
   logged AS (INSERT INTO saga_log (order_id, version, from_state, input, to_state) SELECT order_id, version, '', 'ACCEPTED', state FROM made)
   SELECT made.*, 0::float8 AS age_ms, $4 AS request_hash, true AS is_new FROM made
   UNION ALL
   SELECT o.*, ${AGE}, i.request_hash, false FROM idempotency i JOIN orders o USING (order_id) WHERE i.customer_id = $2 AND i.key = $3
   LIMIT 1`,
);
const FIND_BY_KEY = sql(
  "order_find_by_key",
  `SELECT o.*, ${AGE}, i.request_hash FROM idempotency i JOIN orders o USING (order_id) WHERE i.customer_id = $1 AND i.key = $2`,
);
const CHANGED = `
  changed AS (UPDATE orders SET state = $3, version = version + 1, attempts = 0, updated_at = now(),
      cancel_reason = coalesce(cancel_reason, $4), lease_until = now() + $5 * interval '1 millisecond',
      payment_token = CASE WHEN $3 IN ('CONFIRMED', 'CANCELLED') THEN NULL ELSE payment_token END
    WHERE order_id = $1 AND version = $2 RETURNING *),
  logged AS (INSERT INTO saga_log (order_id, version, from_state, input, to_state)
    SELECT order_id, version, $6, $7, state FROM changed)`;
const ADVANCE = sql("order_advance", `WITH ${CHANGED} SELECT *, ${AGE} FROM changed`);
const DECIDE = sql(
  "order_decide",
  `WITH ${CHANGED},
   sent AS (INSERT INTO outbox (${OUTBOX_COLUMNS}) SELECT ${outboxParameters(8)} FROM changed)
   SELECT *, ${AGE} FROM changed`,
);
const REST = sql(
  "order_rest",
  `UPDATE orders SET lease_until = now() + $3 * interval '1 millisecond', attempts = attempts + 1
   WHERE order_id = $1 AND version = $2`,
);
/** The version grows with every claim, so that whoever drove the order before cannot go on with it. */
const CLAIM = sql(
  "order_claim",
  `UPDATE orders SET lease_until = now() + $1 * interval '1 millisecond', version = version + 1
   WHERE order_id IN (SELECT order_id FROM orders WHERE state IN ${OPEN} AND lease_until < now()
     ORDER BY lease_until LIMIT $2 FOR UPDATE SKIP LOCKED)
   RETURNING *, ${AGE}`,
);
const REQUEST_CANCEL = sql(
  "order_request_cancel",
  `WITH changed AS (UPDATE orders SET cancel_requested = true, version = version + 1, updated_at = now(), lease_until = now()
     WHERE order_id = $1 AND state IN ('RESERVING', 'CHARGING') AND NOT cancel_requested RETURNING *),
   logged AS (INSERT INTO saga_log (order_id, version, from_state, input, to_state)
     SELECT order_id, version, state, 'CANCEL_ASKED', state FROM changed)
   SELECT *, ${AGE} FROM changed`,
);
const FIND = sql(
  "order_find",
  `SELECT *, ${AGE} FROM orders WHERE order_id = $1 AND (customer_id = $2 OR customer_id = 'guest')`,
);
const LIST = sql(
  "order_list",
  `SELECT *, ${AGE} FROM orders WHERE customer_id = $1 AND customer_id <> 'guest' AND order_id < $2::uuid ORDER BY order_id DESC LIMIT $3`,
);
const SHIP = sql(
  "order_ship",
  `WITH incoming AS (SELECT DISTINCT ON (order_id) order_id, shipment, tracking_code
     FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS t(order_id, shipment, tracking_code, position)
     ORDER BY order_id, position DESC),
   changed AS (UPDATE orders o SET shipment = i.shipment, tracking_code = i.tracking_code, version = version + 1, updated_at = now()
     FROM incoming i WHERE o.order_id = i.order_id AND o.shipment IS DISTINCT FROM 'SHIPPED' RETURNING o.order_id)
   SELECT order_id FROM changed`,
);
const MEASURE = sql(
  "order_measure",
  `SELECT count(*) AS open, coalesce(extract(epoch FROM now() - min(placed_at)), 0)::float8 AS age,
     (SELECT count(*) FROM orders WHERE state = 'NEEDS_ATTENTION') AS stuck FROM orders WHERE state IN ${OPEN}`,
);
const PRUNE_BATCH = 1_000;
const PRUNE_KEYS = sql(
  "order_prune_keys",
  `DELETE FROM idempotency WHERE ctid = ANY (ARRAY(
     SELECT ctid FROM idempotency WHERE created_at < now() - interval '48 hours' LIMIT ${PRUNE_BATCH})) RETURNING 1`,
);

export class OrderStore {
  readonly #db: Database;
  readonly #leaseMs: number;

  constructor(db: Database, leaseMs: number) {
    this.#db = db;
    this.#leaseMs = leaseMs;
  }

  /** Statements, of whatever kind, that wait for a connection. */
  get waiting(): number {
    return this.#db.waiting;
  }

  /** Takes the order, or gives the one that was taken under the key before, with that one's hash. */
  async accept(order: NewOrder): Promise<{ row: OrderRow; hash: Buffer; isNew: boolean }> {
    const { orderId, customerId, key, hash, email, shipTo, lines, totalMinor, currency, paymentToken, traceparent } =
      order;
    const leaseMs = order.isDriven ? this.#leaseMs : 0;
    const values = [
      orderId,
      customerId,
      key,
      hash,
      email,
      JSON.stringify(shipTo),
      JSON.stringify(lines),
      totalMinor,
      currency,
      paymentToken,
      traceparent,
      leaseMs,
    ];
    await failpoint("order.beforeAccept");
    const accepting = this.#db.query<OrderRow & { request_hash: Buffer; is_new: boolean }>(ACCEPT, ...values);
    const [[row]] = await Promise.all([accepting, failpoint("order.acceptSent")]);
    // Taken by another transaction after this statement's snapshot: the next look sees it.
    if (row === undefined) return await this.accept(order);
    await failpoint("order.accepted");
    return { row, hash: row.request_hash, isNew: row.is_new };
  }

  async findByKey(customerId: string, key: string): Promise<{ row: OrderRow; hash: Buffer } | undefined> {
    const [row] = await this.#db.query<OrderRow & { request_hash: Buffer }>(FIND_BY_KEY, customerId, key);
    return row === undefined ? undefined : { row, hash: row.request_hash };
  }

  /** Makes a transition; undefined when the order has changed since `row` was read. `event` goes with a decision. */
  async transition(
    row: OrderRow,
    { input, to, reason }: Transition,
    event: OutboundEvent | undefined,
  ): Promise<OrderRow | undefined> {
    const values = [row.order_id, row.version, to, reason ?? null, this.#leaseMs, row.state, input];
    const [changed] =
      event === undefined
        ? await this.#db.query<OrderRow>(ADVANCE, ...values)
        : (
            await Promise.all([
              this.#db.query<OrderRow>(DECIDE, ...values, ...outboxValues(event)),
              failpoint("saga.confirmSent"),
            ])
          )[0];
    if (changed !== undefined && event !== undefined) {
      this.#db.notify(OUTBOX_CHANNEL);
      this.#db.notify(ORDER_CHANNEL, changed.order_id);
    }
    return changed;
  }

  /** Leaves the order alone for a while, after a step that said nothing. */
  async rest(row: OrderRow, ms: number): Promise<void> {
    await this.#db.query(REST, row.order_id, row.version, ms);
  }

  /** Open orders that nobody drives, now driven by the caller. */
  claim(limit: number): Promise<OrderRow[]> {
    return this.#db.query<OrderRow>(CLAIM, this.#leaseMs, limit);
  }

  /** Undefined when it is too late, or was asked before. */
  async requestCancel(orderId: string): Promise<OrderRow | undefined> {
    const [row] = await this.#db.query<OrderRow>(REQUEST_CANCEL, orderId);
    return row;
  }

  /** Undefined also for another customer's order. */
  async find(orderId: string, customerId: string): Promise<OrderRow | undefined> {
    const [row] = await this.#db.query<OrderRow>(FIND, orderId, customerId);
    return row;
  }

  /** Newest first; ids sort by time. */
  list(customerId: string, beforeId: string, limit: number): Promise<OrderRow[]> {
    return this.#db.query<OrderRow>(LIST, customerId, beforeId, limit);
  }

  async ship(shipments: readonly Shipment[], tx: Tx): Promise<void> {
    const column = (pick: (shipment: Shipment) => string) => shipments.map(pick);
    const changed = await tx.query<{ order_id: string }>(
      SHIP,
      column(({ orderId }) => orderId),
      column(({ shipment }) => shipment),
      column(({ trackingCode }) => trackingCode),
    );
    for (const { order_id } of changed) tx.notify(ORDER_CHANNEL, order_id);
  }

  async measure(): Promise<{ open: number; oldestAgeS: number; stuck: number }> {
    const [row] = await this.#db.query<{ open: bigint; age: number; stuck: bigint }>(MEASURE);
    return { open: Number(row?.open ?? 0n), oldestAgeS: row?.age ?? 0, stuck: Number(row?.stuck ?? 0n) };
  }

  async pruneKeys(): Promise<void> {
    while ((await this.#db.query(PRUNE_KEYS)).length === PRUNE_BATCH);
  }
}
