/**
 * Bugs that a run can have, each in the place of the right part: a statement, a policy, a port. The code that runs is the
 * production code in all else. A test expects each to be found, and by which invariant.
 */
import type { OutboundEvent } from "@ordermesh/events/event";
import { type InboxPolicy, recordInbox } from "@ordermesh/events/inbox";
import type { RelayOptions } from "@ordermesh/events/relay";
import type { InvariantId } from "@ordermesh/judge/finding";
import { isKind, MeshError } from "@ordermesh/mesh/errors";
import { inputOfFailure, next } from "@ordermesh/order/saga";
import { type OrderRow, OrderStore, type Transition } from "@ordermesh/order/store";
import { CardProvider, type Entry, type LedgerKind, ProviderFailure } from "@ordermesh/payment/provider";
import { sql } from "@ordermesh/runtime/postgres";
import type { Machine, Parts } from "./processes.ts";
import { EVENT_STATEMENTS } from "./statements/events.ts";
import { ORDER_STATEMENTS } from "./statements/order.ts";
import { PAYMENT_STATEMENTS } from "./statements/payment.ts";
import type { Run, Statements } from "./statements/statements.ts";

export type Bug = {
  readonly name: string;
  /** At least one of these must be violated by the run that finds it. */
  readonly breaks: readonly InvariantId[];
  readonly parts?: Parts;
  readonly statements?: Statements;
};

function right(statements: Statements, name: string): Run {
  const found = statements[name];
  if (found === undefined) throw new Error(`there is no statement ${name}`);
  return found;
}

const SEEN = sql("bug_inbox_seen", "");
/** Looks before, records afterwards: a process that dies in between does the work twice. */
const inboxOutsideTransaction: InboxPolicy = async (db, consumer, events, handle) => {
  const ids = events.map(({ id }) => id);
  const seen = new Set((await db.query<{ event_id: string }>(SEEN, consumer, ids)).map(({ event_id }) => event_id));
  const fresh = events.filter(({ id }) => !seen.has(id));
  if (fresh.length === 0) return 0;
  await db.transaction((tx) => handle(fresh, tx));
  await db.transaction((tx) => recordInbox(tx, consumer, fresh));
  return fresh.length;
};

/** Tells of a decision after it is stored, instead of together with it. */
class StoreWithoutOutbox extends OrderStore {
  readonly #machine: Machine;

  constructor(machine: Machine) {
    super(machine.db, machine.rules.sagaLeaseMs);
    this.#machine = machine;
  }

  override async transition(row: OrderRow, transition: Transition, event: OutboundEvent | undefined) {
    const changed = await super.transition(row, transition, undefined);
    if (changed !== undefined && event !== undefined) await this.#machine.kafka.publish([event]);
    return changed;
  }
}

/** Sends a capture again as a new request when it was not answered. */
class ProviderThatRepeats extends CardProvider {
  readonly #machine: Machine;

  constructor(machine: Machine) {
    super(machine.db, machine.clock);
    this.#machine = machine;
  }

  override async capture(entry: Entry, token: string, timeoutMs: number): Promise<LedgerKind> {
    const again = { ...entry, key: `${entry.key}:${this.#machine.chance.random()}` };
    try {
      return await super.capture(entry, token, timeoutMs);
    } catch (error) {
      if (!(error instanceof ProviderFailure)) throw error;
      return await super.capture(again, token, timeoutMs);
    }
  }
}

type OutboxRow = Omit<OutboundEvent, "id" | "timeMs"> & {
  readonly id: bigint;
  readonly event_id: string;
  readonly time_ms: bigint;
};
const TAKE_FREE = sql("bug_take_free", "");
const MARK_TAKEN = sql("bug_mark_taken", "");
/** Every process relays whatever row no other has locked: two rows of one order go out side by side. */
async function relayWithoutLease({ db, bus, clock, signal }: RelayOptions): Promise<void> {
  for (;;) {
    const sent = db.transaction(async (tx) => {
      const rows = await tx.query<OutboxRow>(TAKE_FREE);
      if (rows.length === 0) return 0;
      await bus.publish(
        rows.map(({ event_id, time_ms, ...row }) => ({ ...row, id: event_id, timeMs: Number(time_ms) })),
      );
      await tx.query(
        MARK_TAKEN,
        rows.map(({ id }) => id),
      );
      return rows.length;
    });
    if ((await sent.catch(() => 0)) === 0) await clock.sleep(200, signal);
  }
}

/** A charge that was not answered in time is taken for one that was not made. */
const payingOnlyWhatAnswers: Parts["payment"] = (client) => ({
  ...client,
  charge: async (request, options) => {
    try {
      return await client.charge(request, options);
    } catch (error) {
      if (!isKind(error, "deadline", "unavailable")) throw error;
      throw new MeshError("precondition", "CARD_DECLINED", "not answered", { cause: error });
    }
  },
});

const unguarded =
  (name: string): Run =>
  (view, [orderId, , ...rest]) => {
    const version = view.find("orders", ({ order_id }) => order_id === orderId)?.version;
    return right(ORDER_STATEMENTS, name)(view, [orderId, version, ...rest]);
  };

export const BUGS: readonly Bug[] = [
  {
    name: "no-idempotency-key",
    breaks: ["I7"],
    statements: {
      order_accept: (view, [orderId, customerId, key, ...rest]) =>
        right(ORDER_STATEMENTS, "order_accept")(view, [orderId, customerId, `${key} ${orderId}`, ...rest]),
    },
  },
  {
    name: "random-charge-key",
    breaks: ["I2"],
    parts: { keyOf: (chance) => (orderId) => `charge:${orderId}:${chance.random()}` },
  },
  {
    name: "inbox-outside-transaction",
    breaks: ["I3"],
    parts: { inbox: inboxOutsideTransaction },
    statements: {
      bug_inbox_seen: (view, values) => {
        const [name, ids] = values as [string, string[]];
        return view.rows("inbox").filter(({ consumer, event_id }) => consumer === name && ids.includes(event_id));
      },
    },
  },
  { name: "ack-before-commit", breaks: ["I9", "I3"], parts: { commit: "before-work" } },
  { name: "outbox-off", breaks: ["I3", "I4"], parts: { store: (machine) => new StoreWithoutOutbox(machine) } },
  {
    name: "relay-without-lease",
    breaks: ["I9"],
    parts: { relay: relayWithoutLease },
    statements: {
      bug_take_free: (view) =>
        view.lockFree(
          "outbox",
          ({ published_at }) => published_at === null,
          ({ id }) => Number(id),
          1,
        ),
      bug_mark_taken: (view, values) => {
        const [ids] = values as [bigint[]];
        return view.update(
          "outbox",
          ({ id }) => ids.includes(id),
          (row) => ({ ...row, published_at: view.nowMs }),
        );
      },
    },
  },
  {
    name: "relay-after-last-id",
    breaks: ["I8"],
    statements: {
      relay_take(view, values) {
        const sent = view.rows("outbox").filter(({ published_at }) => published_at !== null);
        const last = sent.reduce((highest, { id }) => (id > highest ? id : highest), 0n);
        const waiting = right(EVENT_STATEMENTS, "relay_take")(view, values) as readonly { readonly id: bigint }[];
        return waiting.filter(({ id }) => id > last);
      },
    },
  },
  {
    name: "relay-marks-before-sending",
    breaks: ["I9", "I3"],
    statements: {
      relay_take(view, values) {
        const waiting = right(EVENT_STATEMENTS, "relay_take")(view, values) as readonly { readonly id: bigint }[];
        const ids = new Set(waiting.map(({ id }) => id));
        view.update(
          "outbox",
          ({ id }) => ids.has(id),
          (row) => ({ ...row, published_at: view.nowMs }),
        );
        return waiting;
      },
    },
  },
  { name: "no-compensation-on-time-out", breaks: ["I4"], parts: { payment: payingOnlyWhatAnswers } },
  {
    name: "retry-of-non-idempotent-call",
    breaks: ["I2"],
    parts: { provider: (machine) => new ProviderThatRepeats(machine) },
  },
  {
    name: "no-version-guard",
    breaks: ["I2", "I3", "I4", "I5", "I6", "I8", "I9"],
    statements: { order_advance: unguarded("order_advance"), order_decide: unguarded("order_decide") },
  },
  {
    name: "refund-leaves-no-mark",
    breaks: ["I4"],
    statements: {
      payment_close(view, values) {
        const [order_id, charge_key] = values as [string, string];
        const known = right(PAYMENT_STATEMENTS, "payment_find")(view, [order_id]);
        const none = { amount_minor: 0n, currency: "XXX", token_hash: Buffer.alloc(0), status: "VOIDED" };
        return known.length > 0 ? known : [{ order_id, charge_key, ...none, updated_at: new Date(view.nowMs) }];
      },
    },
  },
  {
    name: "out-of-stock-cancels-at-once",
    breaks: ["I6"],
    // What an earlier attempt may still reserve is not released.
    parts: {
      rules: { inputOfFailure, next: (state, input) => (input === "OUT_OF_STOCK" ? "CANCELLED" : next(state, input)) },
    },
  },
];
