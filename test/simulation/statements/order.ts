/** What the statements of services/order/src/store.ts do, on rows in memory. */

import type { View } from "../memory-tables.ts";
import type { OrderEntry } from "../tables.ts";
import { addToOutbox } from "./events.ts";
import type { Statements } from "./statements.ts";

const OPEN = new Set(["RESERVING", "CHARGING", "COMMITTING", "REFUNDING", "RELEASING"]);
const DAY_MS = 86_400_000;

/** A row as the driver gives it. */
function shown(view: View, row: OrderEntry) {
  const { placed_at, updated_at, lease_until, ...rest } = row;
  return { ...rest, placed_at: new Date(placed_at), updated_at: new Date(updated_at), age_ms: view.nowMs - placed_at };
}

function log(view: View, { order_id, version, state }: OrderEntry, from_state: string, input: string): void {
  view.insert("saga_log", { order_id, version, from_state, input, to_state: state });
}

type Accept = [string, string, string, Buffer, string, string, string, bigint, string, string, string, number];
type Change = [string, bigint, string, string | null, number, string, string, ...event: unknown[]];

function change(view: View, values: unknown[]): OrderEntry[] {
  const [orderId, version, to, reason, leaseMs, from, input] = values as Change;
  const isDecided = to === "CONFIRMED" || to === "CANCELLED";
  const changed = view.update(
    "orders",
    (row) => row.order_id === orderId && row.version === version,
    (row) => ({
      ...row,
      state: to,
      version: row.version + 1n,
      attempts: 0,
      updated_at: view.nowMs,
      cancel_reason: row.cancel_reason ?? reason,
      lease_until: view.nowMs + leaseMs,
      payment_token: isDecided ? null : row.payment_token,
    }),
  );
  for (const row of changed) log(view, row, from, input);
  return changed;
}

export const ORDER_STATEMENTS: Statements = {
  order_accept(view, values) {
    const [orderId, customerId, key, hash, email, shipTo, lines, total, currency, token, traceparent, leaseMs] =
      values as Accept;
    const { nowMs } = view;
    const idempotency = { customer_id: customerId, key, request_hash: hash, order_id: orderId, created_at: nowMs };
    if (view.insert("idempotency", idempotency)) {
      const made: OrderEntry = {
        order_id: orderId,
        customer_id: customerId,
        email,
        ship_to: JSON.parse(shipTo),
        lines: JSON.parse(lines),
        total_minor: total,
        currency,
        payment_token: token,
        state: "RESERVING",
        cancel_reason: null,
        cancel_requested: false,
        shipment: null,
        tracking_code: "",
        version: 1n,
        attempts: 0,
        traceparent,
        lease_until: nowMs + leaseMs,
        placed_at: nowMs,
        updated_at: nowMs,
      };
      view.insert("orders", made);
      log(view, made, "", "ACCEPTED");
      return [{ ...shown(view, made), request_hash: hash, is_new: true }];
    }
    const known = view.find("idempotency", (row) => row.customer_id === customerId && row.key === key);
    const row = view.find("orders", ({ order_id }) => order_id === known?.order_id);
    if (known === undefined || row === undefined) return [];
    return [{ ...shown(view, row), request_hash: known.request_hash, is_new: false }];
  },
  order_find_by_key(view, [customerId, key]) {
    const known = view.find("idempotency", (row) => row.customer_id === customerId && row.key === key);
    const row = view.find("orders", ({ order_id }) => order_id === known?.order_id);
    return known === undefined || row === undefined ? [] : [{ ...shown(view, row), request_hash: known.request_hash }];
  },
  order_advance: (view, values) => change(view, values).map((row) => shown(view, row)),
  order_decide(view, values) {
    const changed = change(view, values);
    for (const _ of changed) addToOutbox(view, values.slice(7));
    return changed.map((row) => shown(view, row));
  },
  order_rest(view, values) {
    const [orderId, version, ms] = values as [string, bigint, number];
    view.update(
      "orders",
      (row) => row.order_id === orderId && row.version === version,
      (row) => ({ ...row, lease_until: view.nowMs + ms, attempts: row.attempts + 1 }),
    );
    return [];
  },
  order_claim(view, values) {
    const [leaseMs, limit] = values as [number, number];
    const due = view.lockFree(
      "orders",
      ({ state, lease_until }) => OPEN.has(state) && lease_until < view.nowMs,
      ({ lease_until }) => lease_until,
      limit,
    );
    const ids = new Set(due.map(({ order_id }) => order_id));
    const claimed = view.update(
      "orders",
      ({ order_id }) => ids.has(order_id),
      (row) => ({ ...row, lease_until: view.nowMs + leaseMs, version: row.version + 1n }),
    );
    return claimed.map((row) => shown(view, row));
  },
  order_request_cancel(view, [orderId]) {
    const changed = view.update(
      "orders",
      ({ order_id, state, cancel_requested }) =>
        order_id === orderId && (state === "RESERVING" || state === "CHARGING") && !cancel_requested,
      (row) => ({
        ...row,
        cancel_requested: true,
        version: row.version + 1n,
        updated_at: view.nowMs,
        lease_until: view.nowMs,
      }),
    );
    for (const row of changed) log(view, row, row.state, "CANCEL_ASKED");
    return changed.map((row) => shown(view, row));
  },
  order_find(view, [orderId, customerId]) {
    const row = view.find(
      "orders",
      ({ order_id, customer_id }) => order_id === orderId && (customer_id === customerId || customer_id === "guest"),
    );
    return row === undefined ? [] : [shown(view, row)];
  },
  order_list(view, values) {
    const [customerId, beforeId, limit] = values as [string, string, number];
    return view
      .rows("orders")
      .filter(
        ({ customer_id, order_id }) => customer_id === customerId && customer_id !== "guest" && order_id < beforeId,
      )
      .toSorted((a, b) => (a.order_id < b.order_id ? 1 : -1))
      .slice(0, limit)
      .map((row) => shown(view, row));
  },
  order_ship(view, values) {
    const [ids, states, codes] = values as [string[], string[], string[]];
    return view
      .update(
        "orders",
        ({ order_id, shipment }) => ids.includes(order_id) && shipment !== "SHIPPED",
        (row) => {
          const last = ids.lastIndexOf(row.order_id);
          return {
            ...row,
            shipment: states[last] ?? null,
            tracking_code: codes[last] ?? "",
            version: row.version + 1n,
            updated_at: view.nowMs,
          };
        },
      )
      .map(({ order_id }) => ({ order_id }));
  },
  order_prune_keys: (view) => {
    const deleted = view.delete("idempotency", ({ created_at }) => created_at < view.nowMs - 2 * DAY_MS);
    return Array.from({ length: deleted }, () => ({}));
  },
};
