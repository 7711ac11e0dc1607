/** The tables of all services as the migrations make them, in memory. Times are milliseconds; NULL is null. */
import type { Kind } from "@ordermesh/notification/messages";
import type { StoredLine } from "@ordermesh/order/store";
import type { LedgerKind } from "@ordermesh/payment/provider";

export type OrderEntry = {
  readonly order_id: string;
  readonly customer_id: string;
  readonly email: string;
  readonly ship_to: unknown;
  readonly lines: readonly StoredLine[];
  readonly total_minor: bigint;
  readonly currency: string;
  readonly payment_token: string | null;
  readonly state: string;
  readonly cancel_reason: string | null;
  readonly cancel_requested: boolean;
  readonly shipment: string | null;
  readonly tracking_code: string;
  readonly version: bigint;
  readonly attempts: number;
  readonly traceparent: string;
  readonly lease_until: number;
  readonly placed_at: number;
  readonly updated_at: number;
};

export type OutboxEntry = {
  readonly id: bigint;
  readonly event_id: string;
  readonly topic: string;
  readonly key: string;
  readonly type: string;
  readonly source: string;
  readonly sequence: bigint;
  readonly time_ms: bigint;
  readonly traceparent: string;
  readonly data: Buffer;
  readonly created_at: number;
  readonly published_at: number | null;
  readonly parked_reason: string | null;
};

export type Tables = {
  orders: OrderEntry;
  idempotency: {
    readonly customer_id: string;
    readonly key: string;
    readonly request_hash: Buffer;
    readonly order_id: string;
    readonly created_at: number;
  };
  saga_log: {
    readonly order_id: string;
    readonly version: bigint;
    readonly from_state: string;
    readonly input: string;
    readonly to_state: string;
  };
  outbox: OutboxEntry;
  relay_lease: { readonly is_only: true; readonly holder: string; readonly epoch: bigint; readonly ends_at: number };
  inbox: {
    readonly id: bigint;
    readonly consumer: string;
    readonly event_id: string;
    readonly topic: string;
    readonly key: string;
    readonly sequence: bigint;
    readonly handled_at: number;
  };
  products: {
    readonly sku: string;
    readonly name: string;
    readonly description: string;
    readonly price_minor: bigint;
    readonly currency: string;
  };
  stock: {
    readonly sku: string;
    readonly initial: number;
    readonly available: number;
    readonly reserved: number;
    readonly sold: number;
  };
  reservations: {
    readonly order_id: string;
    readonly state: string;
    readonly skus: readonly string[];
    readonly quantities: readonly number[];
  };
  payments: {
    readonly order_id: string;
    readonly charge_key: string;
    readonly amount_minor: bigint;
    readonly currency: string;
    readonly token_hash: Buffer;
    readonly status: string;
    readonly updated_at: number;
  };
  ledger: {
    readonly id: bigint;
    readonly kind: LedgerKind;
    readonly idempotency_key: string;
    readonly order_id: string;
    readonly amount_minor: bigint;
    readonly currency: string;
  };
  shipments: {
    readonly order_id: string;
    readonly status: string;
    readonly email: string;
    readonly ship_to: unknown;
    readonly traceparent: string;
    readonly tracking_code: string;
    readonly due_at: number;
    readonly updated_at: number;
  };
  messages: {
    readonly notification_id: string;
    readonly order_id: string;
    readonly kind: Kind;
    readonly email: string;
    readonly detail: string;
    readonly queued_at: number;
    readonly claimed_until: number;
    readonly sent_at: number | null;
  };
  deliveries: {
    readonly id: bigint;
    readonly notification_id: string;
    readonly order_id: string;
    readonly kind: Kind;
  };
};

export type TableName = keyof Tables;
export type Row = Tables[TableName];

type Unique<T> = readonly [primary: (row: T) => string, ...others: ((row: T) => string)[]];

/** The primary key of each table, and its further unique constraints. */
export const UNIQUE: { readonly [T in TableName]: Unique<Tables[T]> } = {
  orders: [({ order_id }) => order_id],
  idempotency: [({ customer_id, key }) => `${customer_id} ${key}`],
  saga_log: [({ order_id, version }) => `${order_id} ${version}`],
  outbox: [({ id }) => String(id), ({ event_id }) => event_id],
  relay_lease: [() => ""],
  inbox: [
    ({ consumer, event_id }) => `${consumer} ${event_id}`,
    ({ consumer, topic, key, sequence }) => `${consumer} ${topic} ${key} ${sequence}`,
  ],
  products: [({ sku }) => sku],
  stock: [({ sku }) => sku],
  reservations: [({ order_id }) => order_id],
  payments: [({ order_id }) => order_id],
  ledger: [({ id }) => String(id), ({ idempotency_key }) => idempotency_key],
  shipments: [({ order_id }) => order_id],
  messages: [({ notification_id }) => notification_id],
  deliveries: [({ id }) => String(id), ({ notification_id }) => notification_id],
};
