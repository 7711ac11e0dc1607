/** What the statements of services/notification/src/messages.ts do, on rows in memory: the messages, and the receiver's log. */
import type { Kind } from "@ordermesh/notification/messages";
import type { Statements } from "./statements.ts";

const CLAIM_MS = 10_000;

function kindOf(kind: Kind | undefined): Kind {
  if (kind === undefined) throw new RangeError("every message has a kind");
  return kind;
}

export const NOTIFICATION_STATEMENTS: Statements = {
  message_queue(view, values) {
    const [ids, orderIds, kinds, emails, details] = values as [string[], string[], Kind[], string[], string[]];
    for (const [index, notification_id] of ids.entries())
      view.insert("messages", {
        notification_id,
        order_id: orderIds[index] ?? "",
        kind: kindOf(kinds[index]),
        email: emails[index] ?? "",
        detail: details[index] ?? "",
        queued_at: view.nowMs,
        claimed_until: view.nowMs,
        sent_at: null,
      });
    return [];
  },
  message_claim(view, values) {
    const [limit] = values as [number];
    const waiting = view.lockFree(
      "messages",
      ({ sent_at, claimed_until }) => sent_at === null && claimed_until <= view.nowMs,
      ({ queued_at }) => queued_at,
      limit,
    );
    const ids = new Set(waiting.map(({ notification_id }) => notification_id));
    const claimed = view.update(
      "messages",
      ({ notification_id }) => ids.has(notification_id),
      (row) => ({ ...row, claimed_until: view.nowMs + CLAIM_MS }),
    );
    return claimed.map(({ notification_id, order_id, kind, email, detail }) => ({
      notification_id,
      order_id,
      kind,
      email,
      detail,
    }));
  },
  message_sent(view, values) {
    const [ids] = values as [string[]];
    view.update(
      "messages",
      ({ notification_id }) => ids.includes(notification_id),
      (row) => ({ ...row, sent_at: view.nowMs }),
    );
    return [];
  },
  message_list: (view, [orderId]) =>
    view
      .rows("messages")
      .filter(({ order_id }) => order_id === orderId)
      .toSorted((a, b) => a.queued_at - b.queued_at)
      .map(({ notification_id, order_id, kind, sent_at }) => ({
        notification_id,
        order_id,
        kind,
        sent_at: sent_at === null ? null : new Date(sent_at),
      })),
  mailbox_deliver(view, values) {
    const [ids, orderIds, kinds] = values as [string[], string[], Kind[]];
    for (const [index, notification_id] of ids.entries())
      view.insert("deliveries", {
        id: view.nextId("deliveries"),
        notification_id,
        order_id: orderIds[index] ?? "",
        kind: kindOf(kinds[index]),
      });
    return [];
  },
};
