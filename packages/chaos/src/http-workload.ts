/** The customers behind the HTTP API of `loadgen --serve`. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Operation, parseHistory } from "@ordermesh/judge/history";
import type { Interval, Second, Workload } from "./backend.ts";

const ANSWER_TIMEOUT_MS = 10_000;
/** A request of a customer ends after 8 s; nobody asks again after `finish`. */
const FINISH_TIMEOUT_MS = 30_000;
const HISTORY_TIMEOUT_MS = 60_000;
const POLL_MS = 200;

/** The load generator did not answer, or refused; the message says what and why. */
export class WorkloadError extends Error {
  override readonly name = "WorkloadError";
}

type Run = { readonly state: "Running" | "Finishing" | "Finished" | "Lost" };
type Options = { readonly method?: "PUT" | "PATCH" | "POST"; readonly body?: object; readonly timeoutMs?: number };

export class HttpWorkload implements Workload {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url.replace(/\/$/, "");
  }

  /** @throws WorkloadError */
  async start({ name, ...body }: Parameters<Workload["start"]>[0]): Promise<void> {
    await this.#ask(name, "", { method: "PUT", body });
  }

  /** @throws WorkloadError */
  async setRate(name: string, ratePerSecond: number): Promise<void> {
    await this.#mustAsk(name, "", { method: "PATCH", body: { ratePerSecond } });
  }

  /** @throws WorkloadError */
  async repeat(name: string, requests: number): Promise<number> {
    const response = await this.#mustAsk(name, "repeat", { method: "POST", body: { requests } });
    return ((await response.json()) as { answered: number }).answered;
  }

  /** @throws WorkloadError */
  async seconds(name: string, { fromMs, toMs }: Interval): Promise<readonly Second[] | undefined> {
    const query = new URLSearchParams({ fromMs: String(Math.floor(fromMs)), toMs: String(Math.floor(toMs)) });
    const response = await this.#ask(name, `seconds?${query}`);
    return response === undefined ? undefined : ((await response.json()) as { seconds: Second[] }).seconds;
  }

  /** A run that is lost or was never there has finished. @throws WorkloadError */
  async finish(name: string): Promise<void> {
    const endsMs = performance.now() + FINISH_TIMEOUT_MS;
    let response = await this.#ask(name, "finish", { method: "POST", body: {} });
    while (response !== undefined && ((await response.json()) as Run).state !== "Finished") {
      if (performance.now() > endsMs) throw new WorkloadError(`the orders of ${name} are still on their way`);
      await sleep(POLL_MS);
      response = await this.#ask(name, "");
    }
  }

  /** @throws WorkloadError */
  async history(name: string): Promise<readonly Operation[] | undefined> {
    const response = await this.#ask(name, "history", { timeoutMs: HISTORY_TIMEOUT_MS });
    return response === undefined ? undefined : parseHistory(await response.text());
  }

  async #mustAsk(name: string, what: string, options: Options): Promise<Response> {
    const response = await this.#ask(name, what, options);
    if (response === undefined) throw new WorkloadError(`the load generator knows no run ${name}`);
    return response;
  }

  /** Undefined for 404. */
  async #ask(name: string, what: string, { method, body, timeoutMs = ANSWER_TIMEOUT_MS }: Options = {}) {
    const url = `${this.#url}/runs/${encodeURIComponent(name)}${what === "" ? "" : `/${what}`}`;
    const signal = AbortSignal.timeout(timeoutMs);
    const sent =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    const response = await fetch(url, { method: method ?? "GET", signal, ...sent }).catch((error: unknown) => {
      throw new WorkloadError(`the load generator at ${this.#url} does not answer`, { cause: error });
    });
    if (response.ok) return response;
    const text = await response.text();
    if (response.status === 404) return undefined;
    throw new WorkloadError(
      `the load generator refused ${method ?? "GET"} ${what}: HTTP ${response.status} ${text.trim()}`,
    );
  }
}
