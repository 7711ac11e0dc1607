/** A relay for the tests: run until a test ends, against a Kafka that keeps what it is given. */
import type { TestContext } from "node:test";
import { type Db, sql } from "@ordermesh/runtime/postgres";
import type { OutboundEvent } from "../src/event.ts";
import { type Publisher, type RelayOptions, runRelay } from "../src/relay.ts";

/** Ids and states of the outbox, in its order. */
export const STATES = sql(
  "test_states",
  `SELECT event_id, CASE WHEN published_at IS NOT NULL THEN 'sent' WHEN parked_reason IS NOT NULL THEN parked_reason
     ELSE 'waiting' END AS state FROM outbox ORDER BY id`,
);
/** `sent`, `waiting`, or why a row is parked, in the order of the outbox. */
export async function statesOf(db: Db): Promise<string[]> {
  return (await db.query<{ state: string }>(STATES)).map(({ state }) => state);
}

/** Kafka that is always there: keeps what was published. */
export class Recorder implements Publisher {
  readonly published: OutboundEvent[] = [];
  readonly requests: number[] = [];
  async publish(events: readonly OutboundEvent[]): Promise<void> {
    this.requests.push(events.length);
    this.published.push(...events);
  }
}

/** Runs a relay until the test ends. */
export function startRelay(t: TestContext, options: RelayOptions): RelayOptions {
  const stop = new AbortController();
  const running = runRelay({ ...options, signal: stop.signal });
  t.after(async () => {
    stop.abort();
    await running;
  });
  return options;
}
