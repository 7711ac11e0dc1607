/** A customer's view of the storefront over HTTP: what was answered, or that nobody knows. */
import { Agent, request } from "node:http";
import type { Phase } from "@ordermesh/judge/history";
import type { PlannedOrder } from "./schedule.ts";

const TIMEOUT_MS = 8_000;
const MAX_SOCKETS = 512;

/** Who orders; `helm test` looks for these in the logs. */
export const CUSTOMER = {
  email: "ada@example.com",
  shipTo: { name: "Ada Lovelace", street: "St James Square", city: "London", postalCode: "SW1Y 4JH", country: "GB" },
  paymentToken: "tok_visa",
};

export type Answer = {
  readonly phase: Phase;
  readonly httpStatus?: number;
  readonly orderId?: string;
  readonly status?: string;
  readonly reason?: string;
};

export class ShopClient {
  readonly #url: URL;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS });

  constructor(url: string) {
    this.#url = new URL(url);
  }

  /** `variant` changes the body, not the key. */
  place({ key, lines, card }: PlannedOrder, variant = 0): Promise<Answer> {
    const { email, shipTo } = CUSTOMER;
    const street = `${12 + variant} ${shipTo.street}`;
    const body = JSON.stringify({ email, shipTo: { ...shipTo, street }, lines, paymentToken: card });
    return this.#send("POST", "/api/orders", body, { "content-type": "application/json", "idempotency-key": key });
  }

  read(orderId: string): Promise<Answer> {
    return this.#send("GET", `/api/orders/${orderId}`, undefined, {});
  }

  close(): void {
    this.#agent.destroy();
  }

  /**
   * A kept connection may be closed by the server as it is used. Then browsers and Go's client send again what may be sent twice,
   * without a word to their users, and so does this: all that it sends is a GET or has a key.
   */
  #send(method: string, path: string, body: string | undefined, headers: Record<string, string>): Promise<Answer> {
    return new Promise((resolve) => {
      const sending = request(
        new URL(path, this.#url),
        { method, agent: this.#agent, headers, timeout: TIMEOUT_MS },
        (response) => {
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => {
            text += chunk;
          });
          response.on("end", () => resolve(toAnswer(response.statusCode ?? 0, text)));
          response.on("error", (error) => resolve({ phase: "info", reason: reasonOf(error) }));
        },
      );
      sending.on("timeout", () => sending.destroy(Object.assign(new Error("no answer in time"), { code: "TIMEOUT" })));
      sending.on("error", (error: NodeJS.ErrnoException) => {
        if (sending.reusedSocket && error.code === "ECONNRESET") resolve(this.#send(method, path, body, headers));
        else resolve({ phase: "info", reason: reasonOf(error) });
      });
      sending.end(body);
    });
  }
}

/** Why there is no answer. */
function reasonOf({ code = "NO_CODE" }: NodeJS.ErrnoException): string {
  return `CONNECTION_${code}`;
}

/** 2xx: done; 4xx: refused for good; everything else: nobody knows. Too many requests is a refusal to try again later. */
function toAnswer(httpStatus: number, text: string): Answer {
  const phase: Phase =
    httpStatus >= 200 && httpStatus < 300
      ? "ok"
      : httpStatus >= 400 && httpStatus < 500 && httpStatus !== 429
        ? "fail"
        : "info";
  try {
    const { orderId, status, reason } = JSON.parse(text);
    return {
      phase,
      httpStatus,
      ...(orderId === undefined ? {} : { orderId }),
      ...(typeof status === "string" ? { status } : {}),
      ...(reason === undefined ? {} : { reason }),
    };
  } catch {
    return { phase: "info", httpStatus };
  }
}
