/** What the order service does with its tables, as random commands. */
import { toEvent } from "@ordermesh/order/messages";
import { next, reasonOf, type SagaInput, TRANSITIONS } from "@ordermesh/order/saga";
import { type NewOrder, type OrderRow, OrderStore } from "@ordermesh/order/store";
import { type Draw, IDS, type Memory, SHIP_TO } from "./command.ts";
import type { Subject } from "./subjects.ts";

export const LEASE_MS = 5_000;

export function anOrder(orderId: string, key: string): NewOrder {
  return {
    orderId,
    customerId: "ada",
    key,
    hash: Buffer.from(key),
    email: "ada@example.com",
    shipTo: SHIP_TO,
    lines: [{ sku: "MUG-1", name: "Mug", quantity: 2, unitPriceMinor: "1299" }],
    totalMinor: 2_598n,
    currency: "EUR",
    paymentToken: "tok_visa",
    traceparent: "",
    isDriven: true,
  };
}

const storeOf = ({ db }: Subject) => new OrderStore(db, LEASE_MS);
const byOrder = (a: OrderRow, b: OrderRow) => (a.order_id < b.order_id ? -1 : 1);

function remember(memory: Memory, rows: readonly (OrderRow | undefined)[]) {
  for (const row of rows) if (row !== undefined) memory.rows.push(row);
  return rows;
}

export const ORDER_COMMANDS: readonly Draw[] = [
  (chance) => {
    const made = anOrder(chance.newId(chance.whole(1, 1_000_000)), chance.pick(["k1", "k2", "k3"]));
    const order = { ...made, isDriven: chance.pick([true, false]) };
    return {
      name: "accept",
      run: async (subject, memory) => remember(memory, [(await storeOf(subject).accept(order)).row]),
    };
  },
  (chance) => {
    const [at, input] = [chance.random(), chance.pick(Object.values(TRANSITIONS).flatMap((row) => Object.keys(row)))];
    return {
      name: `transition by ${input}`,
      async run(subject, memory) {
        const row = memory.rows[Math.floor(at * memory.rows.length)];
        const to = row === undefined ? undefined : next(row.state, input as SagaInput);
        if (row === undefined || to === undefined) return;
        const reason = reasonOf(input as SagaInput);
        const event = toEvent(row, to, reason, chance.newId(1), 1);
        const changed = await storeOf(subject).transition(row, { input: input as SagaInput, to, reason }, event);
        return remember(memory, [changed]);
      },
    };
  },
  (chance) => {
    const at = chance.random();
    return {
      name: "rest",
      async run(subject, { rows }) {
        const row = rows[Math.floor(at * rows.length)];
        if (row !== undefined) await storeOf(subject).rest(row, 1_000);
      },
    };
  },
  (chance) => {
    const limit = 50;
    const ms = chance.pick([0, 2_000, 6_000]);
    return {
      name: `claim after ${ms} ms`,
      async run(subject, memory) {
        await subject.age(ms);
        return remember(memory, (await storeOf(subject).claim(limit)).toSorted(byOrder));
      },
    };
  },
  (chance) => {
    const at = chance.random();
    return {
      name: "cancel, find, list",
      async run(subject, memory) {
        const store = storeOf(subject);
        const id = memory.rows[Math.floor(at * memory.rows.length)]?.order_id ?? IDS[0] ?? "";
        const cancelled = remember(memory, [await store.requestCancel(id)]);
        const found = [await store.find(id, "ada"), await store.find(id, "bob"), await store.findByKey("ada", "k1")];
        return [cancelled, found, await store.list("ada", "ffffffff-ffff-7fff-bfff-ffffffffffff", 2)];
      },
    };
  },
  (chance) => {
    const picks = [chance.random(), chance.random()];
    const shipment = chance.pick(["PREPARING", "SHIPPED"] as const);
    return {
      name: `ship: ${shipment}`,
      run: (subject, { rows }) =>
        subject.db.transaction((tx) => {
          const ids = picks.flatMap((at) => rows[Math.floor(at * rows.length)]?.order_id ?? []);
          const shipments = ids.map((orderId, index) => ({ orderId, shipment, trackingCode: `code-${index}` }));
          return storeOf(subject).ship(shipments, tx);
        }),
    };
  },
  () => ({ name: "prune keys", run: (subject) => storeOf(subject).pruneKeys() }),
];
