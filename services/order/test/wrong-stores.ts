/** Stores of orders with one thing wrong each, for tests of the judge. */
import type { OutboundEvent } from "@ordermesh/events/event";
import type { KafkaBus } from "@ordermesh/events/kafka";
import { type Db, sql } from "@ordermesh/runtime/postgres";
import { type NewOrder, type OrderRow, OrderStore, type Transition } from "../src/store.ts";

const VERSION = sql("bug_order_version", "SELECT version FROM orders WHERE order_id = $1");

/** Takes each request as a new one, whatever key it brings. */
export class KeylessStore extends OrderStore {
  override accept(order: NewOrder) {
    return super.accept({ ...order, key: order.orderId });
  }

  override async findByKey(): Promise<undefined> {
    return undefined;
  }
}

/** Stores a decision alone and tells Kafka afterwards: what Kafka does not take at once is never told. */
export class DirectStore extends OrderStore {
  readonly #bus: KafkaBus;

  constructor(db: Db, leaseMs: number, bus: KafkaBus) {
    super(db, leaseMs);
    this.#bus = bus;
  }

  override async transition(row: OrderRow, transition: Transition, event: OutboundEvent | undefined) {
    const changed = await super.transition(row, transition, undefined);
    if (changed !== undefined && event !== undefined) void this.#tell(event);
    return changed;
  }

  async #tell(event: OutboundEvent): Promise<void> {
    if (await this.#bus.isReachable()) await this.#bus.publish([event]).catch(() => undefined);
  }
}

/** Makes a transition whoever has the order by now. */
export class UnfencedStore extends OrderStore {
  readonly #db: Db;

  constructor(db: Db, leaseMs: number) {
    super(db, leaseMs);
    this.#db = db;
  }

  override async transition(row: OrderRow, transition: Transition, event: OutboundEvent | undefined) {
    const [current] = await this.#db.query<{ version: bigint }>(VERSION, row.order_id);
    return super.transition({ ...row, version: current?.version ?? row.version }, transition, event);
  }
}
