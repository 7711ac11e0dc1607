/** What services do with their tables, as random commands: the same one for every subject, with an answer to compare. */

import { RecordRejected } from "@ordermesh/events/bus";
import type { InboundEvent, OutboundEvent } from "@ordermesh/events/event";
import { inboxInTransaction, pruneInbox } from "@ordermesh/events/inbox";
import { createEventMetrics } from "@ordermesh/events/metrics";
import { type Publisher, relayBatch } from "@ordermesh/events/relay";
import { Stock } from "@ordermesh/inventory/stock";
import { testLog } from "@ordermesh/local/under-test";
import { Messages } from "@ordermesh/notification/messages";
import { Charges } from "@ordermesh/payment/charges";
import { CardProvider } from "@ordermesh/payment/provider";
import { chargeKey } from "@ordermesh/payment/rules";
import { OrderCancelled, OrderConfirmed, ShipmentDispatched } from "@ordermesh/proto/ordermesh/event/v1/event";
import type { Database, Tx } from "@ordermesh/runtime/postgres";
import { Shipments } from "@ordermesh/shipping/shipments";
import { Registry } from "prom-client";
import { type Draw, IDS, SHIP_TO } from "./command.ts";
import { ORDER_COMMANDS } from "./order-commands.ts";
import type { ServiceName } from "./processes.ts";
import type { Subject } from "./subjects.ts";

const metrics = createEventMetrics(new Registry());
const signal = new AbortController().signal;

/** A transaction in the place of the database, so that a store's statement is held open. */
export function within(tx: Tx): Database {
  const refuse = () => {
    throw new Error("there is a transaction already");
  };
  return {
    query: (...given) => tx.query(...given),
    waiting: 0,
    notify: () => undefined,
    transaction: refuse,
    listen: refuse,
  };
}

const EVENT_COMMANDS: readonly Draw[] = [
  (chance) => {
    const holder = chance.pick(["relay-1", "relay-2"]);
    const [ms, chunk] = [chance.pick([0, 0, 6_000]), chance.whole(1, 3)];
    const trouble = chance.pick(["none", "none", "away", "refused"]);
    return {
      name: `${holder} relays after ${ms} ms, trouble: ${trouble}`,
      async run({ db, clock, age }) {
        await age(ms);
        const published: string[] = [];
        const publish: Publisher["publish"] = async (events) => {
          if (trouble === "away") throw new Error("away");
          if (trouble === "refused") throw new RecordRejected("MESSAGE_TOO_LARGE");
          published.push(...events.map(({ topic, key, sequence }) => `${topic} ${key} ${sequence}`));
        };
        const seen = await relayBatch({ db, bus: { publish }, holder, chunk, log: testLog, metrics, clock, signal });
        return { seen, published };
      },
    };
  },
  (chance) => {
    const sequences = Array.from({ length: chance.whole(1, 3) }, () => chance.whole(1, 4));
    const isFailing = chance.is(0.3);
    return {
      name: `consume ${sequences.join(", ")}${isFailing ? ", failing" : ""}`,
      run: ({ db }) => {
        const fresh: bigint[] = [];
        const events = sequences.map((sequence) => inbound("test", IDS[0] ?? "", Buffer.from(""), sequence));
        return inboxInTransaction(db, "test", events, async (handled) => {
          fresh.push(...handled.map(({ sequence }) => sequence));
          if (isFailing) throw new Error(`failing with ${fresh.join(", ")}`);
        });
      },
    };
  },
  () => ({ name: "prune the inbox", run: ({ db }) => pruneInbox(db) }),
];

function inbound(type: string, key: string, data: Uint8Array, sequence: number): InboundEvent {
  const id = `019b76da-a800-7000-8000-0000000001${String(sequence).padStart(2, "0")}`;
  const event: OutboundEvent = {
    id,
    type,
    source: "t",
    topic: "t",
    key,
    sequence: BigInt(sequence),
    timeMs: 1,
    traceparent: "",
    data,
  };
  return { ...event, partition: 0, offset: "0" };
}

const INVENTORY_COMMANDS: readonly Draw[] = [
  (chance) => {
    const orderId = chance.pick(IDS);
    const skus = chance.pick([["MUG-1"], ["SCARCE-1"], ["SCARCE-1", "MUG-1"], ["GONE-1"], ["NONE-1"]]);
    const lines = skus.map((sku) => ({ sku, quantity: chance.pick([1, 13]) }));
    return {
      name: `reserve ${JSON.stringify(lines)} for ${orderId}`,
      run: ({ db }) => new Stock(db).reserve(orderId, lines),
    };
  },
  (chance) => {
    const orderId = chance.pick(IDS);
    return { name: `commit ${orderId}`, run: ({ db }) => new Stock(db).commit(orderId) };
  },
  (chance) => {
    const orderId = chance.pick(IDS);
    return { name: `release ${orderId}`, run: ({ db }) => new Stock(db).release(orderId) };
  },
];

const chargesOf = ({ db, clock }: Subject) =>
  new Charges({ db, provider: new CardProvider(db, clock), keyOf: chargeKey, timeoutMs: 1 });

const PAYMENT_COMMANDS: readonly Draw[] = [
  (chance) => {
    const orderId = chance.pick(IDS);
    const token = chance.pick(["tok_visa", "tok_declined", "tok_error_after_charge", "tok_timeout_after_charge"]);
    const charge = { orderId, amountMinor: chance.pick([100n, 100n, 200n]), currency: "EUR", token };
    return { name: `charge ${orderId} to ${token}`, run: (subject) => chargesOf(subject).charge(charge) };
  },
  (chance) => {
    const orderId = chance.pick(IDS);
    return { name: `refund ${orderId}`, run: (subject) => chargesOf(subject).refund(orderId) };
  },
  (chance) => {
    const orderId = chance.pick(IDS);
    return { name: `find ${orderId}`, run: (subject) => chargesOf(subject).find(orderId) };
  },
];

export function confirmed(orderId: string, sequence: number): InboundEvent {
  const message = {
    orderId,
    sequence: 1n,
    confirmedAt: new Date(1),
    email: "a@b.example",
    shipTo: SHIP_TO,
    lines: [],
    total: undefined,
  };
  return inbound("ordermesh.order.confirmed.v1", orderId, OrderConfirmed.encode(message).finish(), sequence);
}

export const shipmentsOf = ({ db, clock }: Subject) =>
  new Shipments({ db, carrierDelayMs: 1_000, clock, random: () => 0.5 });

const SHIPPING_COMMANDS: readonly Draw[] = [
  (chance) => {
    const events = Array.from({ length: chance.whole(1, 3) }, (_, index) => confirmed(chance.pick(IDS), index));
    return {
      name: `ship ${events.map(({ key }) => key).join(", ")}`,
      run: (subject) => subject.db.transaction((tx) => shipmentsOf(subject).create(events, tx)),
    };
  },
  (chance) => {
    const ms = chance.pick([0, 2_000]);
    return {
      name: `dispatch after ${ms} ms`,
      run: async (subject) => {
        await subject.age(ms);
        return shipmentsOf(subject).dispatchDue();
      },
    };
  },
  (chance) => {
    const orderId = chance.pick(IDS);
    return { name: `find ${orderId}`, run: (subject) => shipmentsOf(subject).find(orderId) };
  },
];

const NOTIFICATION_COMMANDS: readonly Draw[] = [
  (chance) => {
    const orderId = chance.pick(IDS);
    const at = new Date(1);
    const cancelled = { orderId, sequence: 1n, cancelledAt: at, email: "a@b.example", reason: "CUSTOMER" };
    const sent = { orderId, sequence: 2n, dispatchedAt: at, email: "a@b.example", trackingCode: "code" };
    const event = chance.pick([
      confirmed(orderId, 1),
      inbound("ordermesh.order.cancelled.v1", orderId, OrderCancelled.encode(cancelled).finish(), 1),
      inbound("ordermesh.shipment.dispatched.v1", orderId, ShipmentDispatched.encode(sent).finish(), 2),
    ]);
    return {
      name: `queue ${event.type} of ${orderId}`,
      run: ({ db, clock }) => db.transaction((tx) => new Messages(db, clock).queue([event], tx)),
    };
  },
  (chance) => {
    const [ms, arrives] = [chance.pick([0, 11_000]), chance.is(0.7)];
    return {
      name: `send after ${ms} ms, ${arrives ? "arriving" : "not arriving"}`,
      async run({ db, clock, age }) {
        await age(ms);
        const messages = new Messages(db, clock);
        return messages.sendWaiting(async (batch) => (arrives ? messages.deliverToMailbox(batch) : []), 50);
      },
    };
  },
  (chance) => {
    const orderId = chance.pick(IDS);
    return {
      name: `list ${orderId}`,
      run: async ({ db, clock }) =>
        (await new Messages(db, clock).list(orderId))
          .map(({ kind, sentAt }) => `${kind} ${sentAt !== undefined}`)
          .sort(),
    };
  },
];

export const COMMANDS: Readonly<Record<ServiceName, readonly Draw[]>> = {
  order: [...ORDER_COMMANDS, ...EVENT_COMMANDS],
  inventory: INVENTORY_COMMANDS,
  payment: PAYMENT_COMMANDS,
  shipping: [...SHIPPING_COMMANDS, ...EVENT_COMMANDS],
  notification: [...NOTIFICATION_COMMANDS, ...EVENT_COMMANDS],
};
