/**
 * The simulated card provider. It stands for a company elsewhere: it has its own append-only ledger, shares no transaction
 * with payments, may answer late or wrongly after it has acted, and knows a request again by its idempotency key.
 */
import type { Clock } from "@ordermesh/mesh/clock";
import { type Database, sql } from "@ordermesh/runtime/postgres";

export type LedgerKind = "CAPTURE" | "DECLINE" | "VOID" | "REFUND";
export type Entry = {
  readonly key: string;
  readonly orderId: string;
  readonly amountMinor: bigint;
  readonly currency: string;
};

/** The provider answered 500, or did not answer in time: what it did is not known. */
export class ProviderFailure extends Error {
  override readonly name = "ProviderFailure";
}

const SLOW_MS = 300;

/** The first entry of a key stays; the answer is always what stands under the key. */
const WRITE = sql(
  "provider_write",
  `WITH made AS (INSERT INTO provider.ledger (kind, idempotency_key, order_id, amount_minor, currency)
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (idempotency_key) DO NOTHING RETURNING kind)
   SELECT kind, true AS made FROM made
   UNION ALL SELECT kind, false FROM provider.ledger WHERE idempotency_key = $2 LIMIT 1`,
);

export class CardProvider {
  readonly #db: Database;
  readonly #clock: Clock;

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /**
   * Captures, or tells what happened under the key before. Tokens choose the behaviour: `tok_declined…` declines,
   * `tok_timeout_after_charge` captures and stays silent, `tok_error_after_charge` captures and answers 500, `tok_slow`
   * takes 300 ms. @throws ProviderFailure after `timeoutMs`
   */
  async capture(entry: Entry, token: string, timeoutMs: number): Promise<LedgerKind> {
    if (token === "tok_slow") await this.#clock.sleep(SLOW_MS);
    const { kind, isFirst } = await this.#write(token.startsWith("tok_declined") ? "DECLINE" : "CAPTURE", entry);
    if (isFirst && token === "tok_error_after_charge") throw new ProviderFailure("500");
    if (isFirst && token === "tok_timeout_after_charge") {
      await this.#clock.sleep(timeoutMs);
      throw new ProviderFailure("no answer");
    }
    return kind;
  }

  /** Makes a capture under the key impossible, unless there is an outcome already; tells what stands. */
  async void(entry: Entry): Promise<LedgerKind> {
    return (await this.#write("VOID", entry)).kind;
  }

  /** Returns captured money, once for each key. */
  async refund(entry: Entry): Promise<void> {
    await this.#write("REFUND", entry);
  }

  async #write(
    wanted: LedgerKind,
    { key, orderId, amountMinor, currency }: Entry,
  ): Promise<{ kind: LedgerKind; isFirst: boolean }> {
    const rows = await this.#db.query<{ kind: LedgerKind; made: boolean }>(
      WRITE,
      wanted,
      key,
      orderId,
      amountMinor,
      currency,
    );
    const [row] = rows;
    // No row: another write of the key was committed after this statement's snapshot; the next look sees it.
    if (row === undefined) return await this.#write(wanted, { key, orderId, amountMinor, currency });
    return { kind: row.kind, isFirst: row.made };
  }
}
