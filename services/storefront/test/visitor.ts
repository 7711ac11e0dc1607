/** Who the tests come as: a browser without a screen that keeps cookies and sends forms, and what Ada buys. */
import type { FastifyInstance, LightMyRequestResponse } from "fastify";

export class Visitor {
  readonly cookies: Record<string, string> = {};
  readonly #app: FastifyInstance;

  constructor(app: FastifyInstance) {
    this.#app = app;
  }

  get(url: string): Promise<LightMyRequestResponse> {
    return this.#send({ method: "GET", url });
  }

  /** Sends a form as browsers do. */
  post(url: string, form: Record<string, string>, headers: Record<string, string> = {}) {
    const payload = new URLSearchParams(form).toString();
    return this.#send({
      method: "POST",
      url,
      payload,
      headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
    });
  }

  /** Puts products into the cart. */
  async fill(...skus: string[]): Promise<void> {
    for (const sku of skus) await this.post("/cart/add", { sku });
  }

  /** The checkout form as the cart page shows it, filled in. */
  async checkoutForm(): Promise<Record<string, string>> {
    const { body } = await this.get("/cart");
    const hidden = [...body.matchAll(/<input type="hidden" name="(key|lines|total)" value="([^"]*)">/g)];
    return { ...Object.fromEntries(hidden.map(([, name, value]) => [name, value])), ...ADA };
  }

  async #send(request: { method: "GET" | "POST"; url: string; payload?: string; headers?: Record<string, string> }) {
    const headers = { accept: "text/html", host: "shop.example", ...request.headers };
    const response = await this.#app.inject({ ...request, headers, cookies: this.cookies });
    for (const { name, value } of response.cookies) this.cookies[name] = value;
    return response;
  }
}

/** What she types into the checkout form. */
export const ADA = {
  email: "ada@example.com",
  name: "Ada Lovelace",
  street: "12 St James Square",
  city: "London",
  postalCode: "SW1Y 4JH",
  country: "GB",
  paymentToken: "tok_visa",
};

const { email, paymentToken, ...shipTo } = ADA;
/** Her order over the API. */
export const ORDER = {
  email,
  shipTo,
  lines: [{ sku: "MUG-1", quantity: 2 }],
  paymentToken,
  expectedTotal: { currency: "EUR", minorUnits: 2598 },
};
