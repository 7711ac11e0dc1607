/** Every crash point with the process that passes it and the orders that lead there. Pure data; a tidy test ties it to the code. */

/** What to order so that a point is passed; without Kafka for a while, events pile up in the outbox. */
export type Scenario = "confirmed" | "declined" | "cancelled-while-charging" | "confirmed-without-kafka";

export type Action = "kill" | "error" | "sleep";

export type Case = {
  readonly process: string;
  readonly point: string;
  readonly action: Action;
  readonly scenario: Scenario;
};

type Point = { readonly point: string; readonly processes: readonly string[]; readonly scenario: Scenario };

const point = (name: string, process: string, scenario: Scenario = "confirmed"): Point => ({
  point: name,
  processes: [process],
  scenario,
});
const RELAYS = ["order-1", "shipping-1"];
const CONSUMERS = ["order-1", "shipping-1", "notification-1"];

export const POINTS: readonly Point[] = [
  point("order.beforeAccept", "order-1"),
  point("order.acceptSent", "order-1"),
  point("order.accepted", "order-1"),
  point("saga.reserved", "order-1"),
  point("saga.charged", "order-1"),
  point("saga.committed", "order-1"),
  point("saga.confirmSent", "order-1"),
  point("saga.declined", "order-1", "declined"),
  point("saga.released", "order-1", "declined"),
  point("saga.cancelRequested", "order-1", "cancelled-while-charging"),
  point("saga.refunded", "order-1", "cancelled-while-charging"),
  point("inventory.reserveSent", "inventory-1"),
  point("inventory.released", "inventory-1", "declined"),
  point("payment.recorded", "payment-1"),
  point("payment.captured", "payment-1"),
  point("payment.stored", "payment-1"),
  point("payment.refundCaptured", "payment-1", "cancelled-while-charging"),
  point("shipping.dispatchSent", "shipping-1"),
  point("notification.queued", "notification-1"),
  point("notification.sent", "notification-1"),
  ...["relay.selected", "relay.produceSent", "relay.acked", "relay.marked"].map(
    (name): Point => ({ point: name, processes: RELAYS, scenario: "confirmed" }),
  ),
  { point: "relay.producedHalf", processes: RELAYS, scenario: "confirmed-without-kafka" },
  ...["consumer.polled", "consumer.inboxInserted", "consumer.handled", "consumer.committed"].map(
    (name): Point => ({ point: name, processes: CONSUMERS, scenario: "confirmed" }),
  ),
];

export const ACTIONS: readonly Action[] = ["kill", "error", "sleep"];

/** Longer than every step's deadline, and than the relay's lease. */
export const SLEEP_MS = 5_500;

export const CASES: readonly Case[] = ACTIONS.flatMap((action) =>
  POINTS.flatMap(({ point: name, processes, scenario }) =>
    processes.map((process) => ({ process, point: name, action, scenario })),
  ),
);

export function nameOf({ process, point: name, action }: Case): string {
  return `${name} in ${process}: ${action}`;
}
