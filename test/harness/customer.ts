/** A patient customer: places an order and asks again under the same key until it knows; keeps the record for the judge. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Operation, Phase } from "@ordermesh/judge/history";

const TRY_TIMEOUT_MS = 8_000;
const PAUSE_MS = 200;
const PATIENCE_MS = 60_000;

export type Wish = { readonly key: string; readonly card: string; readonly sku?: string; readonly quantity?: number };
export type Outcome = { readonly orderId: string; readonly status: string };

export class Customer {
  readonly history: Operation[] = [];
  readonly #url: string;
  readonly #startedMs = performance.now();

  constructor(url: string) {
    this.#url = url;
  }

  /** @throws Error when the order was refused, or nobody answered for a minute */
  async place(wish: Wish): Promise<Outcome> {
    const endsMs = performance.now() + PATIENCE_MS;
    for (;;) {
      this.#note({ op: "place", phase: "invoke", key: wish.key });
      const answer = await this.#post(wish);
      const phase = phaseOf(answer.httpStatus);
      this.#note({ op: "place", phase, key: wish.key, ...answer });
      if (phase === "ok") return { orderId: answer.orderId ?? "", status: answer.status ?? "" };
      if (phase === "fail") throw new Error(`the order ${wish.key} was refused: ${answer.reason}`);
      if (performance.now() > endsMs) throw new Error(`nobody answered for the order ${wish.key}`);
      await sleep(PAUSE_MS);
    }
  }

  async cancel(orderId: string): Promise<number> {
    const response = await fetch(`${this.#url}/api/orders/${orderId}/cancel`, {
      method: "POST",
      signal: AbortSignal.timeout(TRY_TIMEOUT_MS),
    });
    await response.text();
    return response.status;
  }

  async #post({
    key,
    card,
    sku = "MUG-1",
    quantity = 1,
  }: Wish): Promise<{ httpStatus: number; orderId?: string; status?: string; reason?: string }> {
    const shipTo = {
      name: "Ada Lovelace",
      street: "12 St James Square",
      city: "London",
      postalCode: "SW1Y 4JH",
      country: "GB",
    };
    const body = JSON.stringify({ email: "ada@example.com", shipTo, lines: [{ sku, quantity }], paymentToken: card });
    try {
      const response = await fetch(`${this.#url}/api/orders`, {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": key },
        body,
        signal: AbortSignal.timeout(TRY_TIMEOUT_MS),
      });
      const { orderId, status, reason } = await response.json();
      const text = (name: string, value: unknown) => (typeof value === "string" ? { [name]: value } : {});
      return {
        httpStatus: response.status,
        ...text("orderId", orderId),
        ...text("status", status),
        ...text("reason", reason),
      };
    } catch {
      return { httpStatus: 0 };
    }
  }

  #note(operation: Omit<Operation, "atMs">): void {
    this.history.push({ atMs: Math.round(performance.now() - this.#startedMs), ...operation });
  }
}

/** 2xx: done; 4xx: refused for good; everything else: nobody knows. */
function phaseOf(httpStatus: number): Phase {
  if (httpStatus >= 200 && httpStatus < 300) return "ok";
  return httpStatus >= 400 && httpStatus < 500 ? "fail" : "info";
}
