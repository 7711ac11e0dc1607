/** What the statements of services/payment/src do, on rows in memory: the payments, and the card provider's ledger. */
import type { LedgerKind } from "@ordermesh/payment/provider";
import type { View } from "../memory-tables.ts";
import type { Tables } from "../tables.ts";
import type { Statements } from "./statements.ts";

type Payment = Tables["payments"];

function shown({ updated_at, ...rest }: Payment) {
  return { ...rest, updated_at: new Date(updated_at) };
}

/** Makes the payment, or gives the one that the statement sees. */
function make(view: View, payment: Payment): readonly object[] {
  if (view.insert("payments", payment)) return [shown(payment)];
  return view
    .rows("payments")
    .filter(({ order_id }) => order_id === payment.order_id)
    .map(shown);
}

export const PAYMENT_STATEMENTS: Statements = {
  payment_record(view, values) {
    const [order_id, charge_key, amount_minor, currency, token_hash] = values as [
      string,
      string,
      bigint,
      string,
      Buffer,
    ];
    const payment = { order_id, charge_key, amount_minor, currency, token_hash };
    return make(view, { ...payment, status: "CHARGING", updated_at: view.nowMs });
  },
  payment_close(view, values) {
    const [order_id, charge_key] = values as [string, string];
    const payment = { order_id, charge_key, amount_minor: 0n, currency: "XXX", token_hash: Buffer.alloc(0) };
    return make(view, { ...payment, status: "VOIDED", updated_at: view.nowMs });
  },
  payment_settle(view, values) {
    const [orderId, status] = values as [string, string];
    const settled = view.update(
      "payments",
      (row) =>
        row.order_id === orderId && (row.status === "CHARGING" || (row.status === "CAPTURED" && status === "REFUNDED")),
      (row) => ({ ...row, status, updated_at: view.nowMs }),
    );
    return settled.map(shown);
  },
  payment_find: (view, [orderId]) =>
    view
      .rows("payments")
      .filter(({ order_id }) => order_id === orderId)
      .map(shown),
  provider_write(view, values) {
    const [kind, idempotency_key, order_id, amount_minor, currency] = values as [
      LedgerKind,
      string,
      string,
      bigint,
      string,
    ];
    const row = { id: view.nextId("ledger"), kind, idempotency_key, order_id, amount_minor, currency };
    if (view.insert("ledger", row)) return [{ kind, made: true }];
    const standing = view.find("ledger", (entry) => entry.idempotency_key === idempotency_key);
    return standing === undefined ? [] : [{ kind: standing.kind, made: false }];
  },
};
