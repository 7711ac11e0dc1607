/** What the statements of services/shipping/src/shipments.ts do, on rows in memory. */
import { addToOutbox, outboxRows } from "./events.ts";
import type { Statements } from "./statements.ts";

export const SHIPPING_STATEMENTS: Statements = {
  shipment_create(view, values) {
    const [ids, emails, addresses, traces, delayMs, ...events] = values as [
      string[],
      string[],
      string[],
      string[],
      number,
      ...unknown[],
    ];
    const made = ids.filter((order_id, index) =>
      view.insert("shipments", {
        order_id,
        status: "PREPARING",
        email: emails[index] ?? "",
        ship_to: JSON.parse(addresses[index] ?? "{}"),
        traceparent: traces[index] ?? "",
        tracking_code: "",
        due_at: view.nowMs + delayMs,
        updated_at: view.nowMs,
      }),
    );
    for (const { key, values: event } of outboxRows(events)) if (made.includes(String(key))) addToOutbox(view, event);
    return [];
  },
  shipment_lock_due(view, values) {
    const [limit] = values as [number];
    const due = view.lockFree(
      "shipments",
      ({ status, due_at }) => status === "PREPARING" && due_at <= view.nowMs,
      ({ due_at }) => due_at,
      limit,
    );
    return due.map(({ order_id, email, traceparent }) => ({ order_id, email, traceparent }));
  },
  shipment_dispatch(view, values) {
    const [ids, codes, ...events] = values as [string[], string[], ...unknown[]];
    view.update(
      "shipments",
      ({ order_id }) => ids.includes(order_id),
      (row) => ({
        ...row,
        status: "DISPATCHED",
        tracking_code: codes[ids.indexOf(row.order_id)] ?? "",
        updated_at: view.nowMs,
      }),
    );
    for (const { values: event } of outboxRows(events)) addToOutbox(view, event);
    return [];
  },
  shipment_find: (view, [orderId]) =>
    view
      .rows("shipments")
      .filter(({ order_id }) => order_id === orderId)
      .map(({ order_id, status, tracking_code, updated_at }) => ({
        order_id,
        status,
        tracking_code,
        updated_at: new Date(updated_at),
      })),
};
