/** The one charge of each order: recorded before the provider is asked, so that a crash leaves a key to ask again with. */
import { MeshError } from "@ordermesh/mesh/errors";
import { type Payment, PaymentStatus } from "@ordermesh/proto/ordermesh/payment/v1/payment";
import { failpoint } from "@ordermesh/runtime/failpoints";
import { type Database, type Statement, sql } from "@ordermesh/runtime/postgres";
import { type CardProvider, type Entry, type LedgerKind, ProviderFailure } from "./provider.ts";
import { hashToken, type KeyOf, refundKey } from "./rules.ts";

type Status = "CHARGING" | "CAPTURED" | "DECLINED" | "REFUNDED" | "VOIDED";
type Row = {
  order_id: string;
  charge_key: string;
  amount_minor: bigint;
  currency: string;
  token_hash: Buffer;
  status: Status;
  updated_at: Date;
};
type Charge = {
  readonly orderId: string;
  readonly amountMinor: bigint;
  readonly currency: string;
  readonly token: string;
};

const RECORD = sql(
  "payment_record",
  `WITH made AS (INSERT INTO payments (order_id, charge_key, amount_minor, currency, token_hash, status)
     VALUES ($1, $2, $3, $4, $5, 'CHARGING') ON CONFLICT DO NOTHING RETURNING *)
   SELECT * FROM made UNION ALL SELECT * FROM payments WHERE order_id = $1 LIMIT 1`,
);
/** A row whose outcome is known never changes but from CAPTURED to REFUNDED. */
const SETTLE = sql(
  "payment_settle",
  `UPDATE payments SET status = $2, updated_at = now()
   WHERE order_id = $1 AND (status = 'CHARGING' OR (status = 'CAPTURED' AND $2 = 'REFUNDED')) RETURNING *`,
);
/** A refund before any charge leaves a mark that refuses the charge. */
const CLOSE = sql(
  "payment_close",
  `WITH made AS (INSERT INTO payments (order_id, charge_key, amount_minor, currency, token_hash, status)
     VALUES ($1, $2, 0, 'XXX', '', 'VOIDED') ON CONFLICT DO NOTHING RETURNING *)
   SELECT * FROM made UNION ALL SELECT * FROM payments WHERE order_id = $1 LIMIT 1`,
);
const FIND = sql("payment_find", "SELECT * FROM payments WHERE order_id = $1");

const OUTCOME: Readonly<Record<LedgerKind, Status>> = {
  CAPTURE: "CAPTURED",
  DECLINE: "DECLINED",
  VOID: "VOIDED",
  REFUND: "REFUNDED",
};

type Dependencies = {
  readonly db: Database;
  readonly provider: CardProvider;
  readonly keyOf: KeyOf;
  readonly timeoutMs: number;
};

export class Charges {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws MeshError precondition CARD_DECLINED, PAYMENT_VOIDED; invalid CHARGE_MISMATCH; unavailable PROVIDER_UNAVAILABLE */
  async charge(charge: Charge): Promise<Payment> {
    const { db, keyOf } = this.#dependencies;
    const { orderId, amountMinor, currency, token } = charge;
    const tokenHash = hashToken(token);
    const row = await this.#one(RECORD, orderId, keyOf(orderId), amountMinor, currency, tokenHash);
    await failpoint("payment.recorded");
    if (row.status === "VOIDED" || row.status === "REFUNDED")
      throw new MeshError("precondition", "PAYMENT_VOIDED", "the order's payment was returned or ruled out");
    if (row.amount_minor !== amountMinor || row.currency !== currency || !row.token_hash.equals(tokenHash))
      throw new MeshError("invalid", "CHARGE_MISMATCH", "the order was charged with another amount or card");
    if (row.status !== "CHARGING") return answer(row);
    const status = await this.#capture({ key: keyOf(orderId), orderId, amountMinor, currency }, token);
    await failpoint("payment.captured");
    const [settled] = await db.query<Row>(SETTLE, orderId, status);
    await failpoint("payment.stored");
    return answer(settled ?? (await this.#one(FIND, orderId)));
  }

  /** Resolves the charge if its outcome is unknown, returns what was captured, and makes later charges fail. */
  async refund(orderId: string): Promise<Payment> {
    const { db, provider, keyOf } = this.#dependencies;
    let row = await this.#one(CLOSE, orderId, keyOf(orderId));
    if (row.status === "CHARGING") {
      await db.query<Row>(SETTLE, orderId, OUTCOME[await provider.void(entryOf(row, row.charge_key))]);
      row = await this.#one(FIND, orderId);
    }
    if (row.status === "CAPTURED") {
      await provider.refund(entryOf(row, refundKey(orderId)));
      await failpoint("payment.refundCaptured");
      await db.query<Row>(SETTLE, orderId, "REFUNDED");
      row = await this.#one(FIND, orderId);
    }
    return toPayment(row);
  }

  /** @throws MeshError not-found PAYMENT_UNKNOWN */
  async find(orderId: string): Promise<Payment> {
    const [row] = await this.#dependencies.db.query<Row>(FIND, orderId);
    if (row === undefined) throw new MeshError("not-found", "PAYMENT_UNKNOWN", "the order has no payment");
    return toPayment(row);
  }

  async #capture(entry: Entry, token: string): Promise<Status> {
    const { provider, timeoutMs } = this.#dependencies;
    try {
      return OUTCOME[await provider.capture(entry, token, timeoutMs)];
    } catch (error) {
      if (!(error instanceof ProviderFailure)) throw error;
      throw new MeshError("unavailable", "PROVIDER_UNAVAILABLE", "the card provider did not tell the outcome", {
        cause: error,
      });
    }
  }

  async #one(statement: Statement, ...values: unknown[]): Promise<Row> {
    const [row] = await this.#dependencies.db.query<Row>(statement, ...values);
    // Made by another transaction after this statement's snapshot: the caller tries again and sees it.
    if (row === undefined) throw new MeshError("conflict", "PAYMENT_BUSY", "the payment is being made by another call");
    return row;
  }
}

function entryOf(row: Row, key: string): Entry {
  return { key, orderId: row.order_id, amountMinor: row.amount_minor, currency: row.currency };
}

/** @throws MeshError precondition CARD_DECLINED, PAYMENT_VOIDED */
function answer(row: Row): Payment {
  if (row.status === "DECLINED") throw new MeshError("precondition", "CARD_DECLINED", "the card was declined");
  if (row.status !== "CAPTURED")
    throw new MeshError("precondition", "PAYMENT_VOIDED", "the order's payment was ruled out");
  return toPayment(row);
}

function toPayment({ order_id, status, amount_minor, currency, updated_at }: Row): Payment {
  return {
    orderId: order_id,
    status: PaymentStatus[`PAYMENT_STATUS_${status}`],
    amount: { currency, minorUnits: amount_minor },
    updatedAt: updated_at,
  };
}
