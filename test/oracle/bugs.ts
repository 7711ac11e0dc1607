/** The seeded bugs: which wiring plants each, which experiment must find it, and what must be named. Pure data; a tidy test ties it to the tree. */

export type Bug = {
  readonly name: string;
  readonly what: string;
  /** Entry files that take the place of services' own, by service. */
  readonly entries: Readonly<Record<string, string>>;
  /** Further environment of services, by service. */
  readonly envOf?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** After the start, when the bug shows there already and the experiment would find no steady state. */
  readonly settleMs?: number;
  /** A file of k8s/chaos, without its ending. */
  readonly experiment: string;
  /** Invariants, checks or reasons of which the verdict must name one at least. */
  readonly named: readonly string[];
};

const planted = (service: string, name: string) => ({ [service]: `services/${service}/test/main-with-bug.ts ${name}` });

export const BUGS: readonly Bug[] = [
  {
    name: "no-idempotency-key",
    what: "order takes each request as a new one, whatever key it brings",
    entries: planted("order", "no-idempotency-key"),
    experiment: "kill-order",
    named: ["IdempotentReplies"],
  },
  {
    name: "random-charge-key",
    what: "payment asks the provider under a new key for every attempt",
    entries: planted("payment", "random-charge-key"),
    experiment: "kill-payment",
    named: ["NoDoubleCharge"],
  },
  {
    name: "repeated-capture",
    what: "payment repeats a call that may not be repeated: a capture under another key when nobody answered",
    entries: planted("payment", "repeated-capture"),
    experiment: "delay-payment",
    named: ["NoDoubleCharge"],
  },
  {
    name: "inbox-outside-transaction",
    what: "notification looks into the inbox before, and records in it after, its transaction",
    entries: planted("notification", "inbox-outside-transaction"),
    experiment: "crash-notification-committed",
    named: ["ExactlyOneShippingNotification"],
  },
  {
    name: "auto-commit",
    what: "notification commits offsets before it has done the work",
    entries: planted("notification", "auto-commit"),
    experiment: "crash-notification-polled",
    named: ["ExactlyOneShippingNotification", "OrderPerAggregate"],
  },
  {
    name: "outbox-off",
    what: "order tells Kafka by itself after it has stored a decision",
    entries: planted("order", "outbox-off"),
    experiment: "outage-kafka",
    named: ["ExactlyOneShippingNotification", "SagaTerminal"],
  },
  {
    name: "relay-without-lease",
    what: "each shipping process relays what no other has locked",
    entries: planted("shipping", "relay-without-lease"),
    experiment: "hang-relay",
    named: ["OrderPerAggregate"],
  },
  {
    name: "relay-after-last-id",
    what: "the relay of shipping goes on after the highest id it has seen",
    entries: planted("shipping", "relay-after-last-id"),
    experiment: "hang-dispatch",
    named: ["OutboxDrained", "ExactlyOneShippingNotification"],
  },
  {
    name: "no-compensation",
    what: "an order that takes too long is cancelled, and its stock and money are kept",
    entries: planted("order", "no-compensation"),
    envOf: { order: { MESH_SAGA_TIMEOUT_MS: "8000" } },
    experiment: "partition-order-payment",
    named: ["StockConserved", "SagaTerminal"],
  },
  {
    name: "unknown-is-declined",
    what: "order takes a charge without an answer for a declined one",
    entries: planted("order", "unknown-is-declined"),
    experiment: "lose-payment-replies",
    named: ["SagaTerminal", "MoneyConserved"],
  },
  {
    name: "unfenced-saga",
    what: "order makes a transition whoever has the order by now",
    entries: planted("order", "unfenced-saga"),
    experiment: "hang-order-reserved",
    named: ["ExactlyOneShippingNotification", "OrderPerAggregate"],
  },
  {
    name: "stale-endpoints",
    what: "order keeps every endpoint it has ever seen",
    entries: planted("order", "stale-endpoints"),
    experiment: "kill-payment",
    named: ["RegistryTruth"],
  },
  {
    name: "unleased-faults",
    what: "order keeps every fault rule it has ever seen",
    entries: planted("order", "unleased-faults"),
    experiment: "payment-away-under-load",
    named: ["ConfigConverged", "SagaTerminal", "answers", "NotRecovered"],
  },
  {
    name: "ready-always",
    what: "order registers and calls itself ready before it can serve",
    entries: planted("order", "ready-always"),
    settleMs: 5_000,
    experiment: "stop-order-gracefully",
    named: ["success"],
  },
  {
    name: "forced-shutdown",
    what: "order exits at SIGTERM with its work undone",
    entries: planted("order", "forced-shutdown"),
    experiment: "stop-order-gracefully",
    named: ["no-order-waits-for-a-lease"],
  },
];

export function bugOf(name: string): Bug | undefined {
  return BUGS.find((bug) => bug.name === name);
}
