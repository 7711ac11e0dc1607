/** Notifications in PostgreSQL: queued from events, claimed by one sender at a time, sent once to a receiver that knows ids. */
import { decodeData, type InboundEvent, PoisonEvent } from "@ordermesh/events/event";
import type { Clock } from "@ordermesh/mesh/clock";
import { OrderCancelled, OrderConfirmed, ShipmentDispatched } from "@ordermesh/proto/ordermesh/event/v1/event";
import { type Notification, NotificationKind } from "@ordermesh/proto/ordermesh/notification/v1/notification";
import { failpoint } from "@ordermesh/runtime/failpoints";
import { isUuid, type NewId, newId } from "@ordermesh/runtime/ids";
import { type Database, sql, type Tx } from "@ordermesh/runtime/postgres";

/** Tells the sender that messages were queued. */
export const MESSAGE_CHANNEL = "messages";

export type Kind = "ORDER_CONFIRMED" | "ORDER_SHIPPED" | "ORDER_CANCELLED";

/** A message to one customer; `detail` is the tracking code of ORDER_SHIPPED and the reason of ORDER_CANCELLED. */
export type Message = {
  readonly notification_id: string;
  readonly order_id: string;
  readonly kind: Kind;
  readonly email: string;
  readonly detail: string;
};

/** Resolves with those messages that need not be sent again. A receiver drops an id that it has seen. */
export type Deliver = (messages: readonly Message[]) => Promise<readonly Message[]>;

const QUEUE = sql(
  "message_queue",
  `INSERT INTO messages (notification_id, order_id, kind, email, detail)
   SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[])`,
);
const CLAIM = sql(
  "message_claim",
  `UPDATE messages SET claimed_until = now() + interval '10 seconds'
   WHERE notification_id IN (SELECT notification_id FROM messages WHERE sent_at IS NULL AND claimed_until <= now()
     ORDER BY queued_at LIMIT $1 FOR UPDATE SKIP LOCKED)
   RETURNING notification_id, order_id, kind, email, detail`,
);
const SENT = sql("message_sent", "UPDATE messages SET sent_at = now() WHERE notification_id = ANY($1::uuid[])");
const LIST = sql(
  "message_list",
  "SELECT notification_id, order_id, kind, sent_at FROM messages WHERE order_id = $1 ORDER BY queued_at",
);
const DELIVER = sql(
  "mailbox_deliver",
  `INSERT INTO mailbox.deliveries (notification_id, order_id, kind)
   SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]) ON CONFLICT DO NOTHING`,
);

export class Messages {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #makeId: NewId;

  constructor(db: Database, clock: Clock, makeId = newId) {
    this.#db = db;
    this.#clock = clock;
    this.#makeId = makeId;
  }

  /** Queues what the events ask for. @throws PoisonEvent */
  async queue(events: readonly InboundEvent[], tx: Tx): Promise<void> {
    const messages = events.flatMap((event) => this.#toMessage(event) ?? []);
    if (messages.length === 0) return;
    const column = (pick: (message: Message) => string) => messages.map(pick);
    const emails = column(({ email }) => email);
    const details = column(({ detail }) => detail);
    await tx.query(QUEUE, ...columns(messages), emails, details);
    tx.notify(MESSAGE_CHANNEL);
    await failpoint("notification.queued");
  }

  /**
   * Sends at most `limit` of those that wait; resolves with how many went. Several processes may do this at the same time.
   * What is not delivered waits until its claim is over.
   */
  async sendWaiting(deliver: Deliver, limit: number): Promise<number> {
    const messages = await this.#db.query<Message>(CLAIM, limit);
    if (messages.length === 0) return 0;
    const delivered = await deliver(messages);
    // From here until the next statement is done a crash sends again: the receiver knows the id and drops it.
    await failpoint("notification.sent");
    const ids = delivered.map(({ notification_id }) => notification_id);
    await this.#db.query(SENT, ids);
    return delivered.length;
  }

  /** The simulated receiver, which every installation has. */
  async deliverToMailbox(messages: readonly Message[]): Promise<readonly Message[]> {
    await this.#db.query(DELIVER, ...columns(messages));
    return messages;
  }

  /** Oldest first. */
  async list(orderId: string): Promise<Notification[]> {
    if (!isUuid(orderId)) return [];
    const rows = await this.#db.query<{ notification_id: string; order_id: string; kind: Kind; sent_at: Date | null }>(
      LIST,
      orderId,
    );
    return rows.map(({ notification_id, order_id, kind, sent_at }) => ({
      notificationId: notification_id,
      orderId: order_id,
      kind: NotificationKind[`NOTIFICATION_KIND_${kind}`],
      sentAt: sent_at ?? undefined,
    }));
  }

  #toMessage(event: InboundEvent): Message | undefined {
    const message = (kind: Kind, order_id: string, email: string, detail: string) => ({
      notification_id: this.#makeId(this.#clock.wallMs()),
      order_id,
      kind,
      email,
      detail,
    });
    switch (event.type) {
      case "ordermesh.order.confirmed.v1": {
        const { orderId, email } = decodeData(event, OrderConfirmed);
        return message("ORDER_CONFIRMED", orderId, email, "");
      }
      case "ordermesh.order.cancelled.v1": {
        const { orderId, email, reason } = decodeData(event, OrderCancelled);
        return message("ORDER_CANCELLED", orderId, email, reason);
      }
      case "ordermesh.shipment.dispatched.v1": {
        const { orderId, email, trackingCode } = decodeData(event, ShipmentDispatched);
        return message("ORDER_SHIPPED", orderId, email, trackingCode);
      }
      case "ordermesh.shipment.created.v1":
        return undefined;
      default:
        throw new PoisonEvent("the event's type is unknown");
    }
  }
}

function columns(messages: readonly Message[]): [string[], string[], string[]] {
  return [
    messages.map(({ notification_id }) => notification_id),
    messages.map(({ order_id }) => order_id),
    messages.map(({ kind }) => kind),
  ];
}
