/** The load generator as a child process, with its progress. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "@ordermesh/local/system";

export type LoadReport = {
  readonly seconds: number;
  readonly planned: number;
  readonly begun: number;
  readonly acknowledged: number;
  readonly confirmed: number;
  readonly cancelled: number;
  readonly pending: number;
  readonly refused: number;
  readonly unknown: number;
  readonly retries: number;
  readonly unanswered: number;
  readonly inFlight: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
};

export type LoadOptions = {
  readonly url: string;
  readonly orders: number;
  readonly rate: number;
  readonly seed: number;
  readonly history: string;
  readonly tag?: string;
  readonly isPlain?: boolean;
};

export class LoadProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<LoadReport>;
  latest: LoadReport | undefined;

  constructor({ url, orders, rate, seed, history, tag = "load", isPlain = false }: LoadOptions) {
    const args = [
      "--url",
      url,
      "--orders",
      orders,
      "--rate",
      rate,
      "--seed",
      seed,
      "--history",
      history,
      "--tag",
      tag,
      "--json",
    ].map(String);
    const entry = join(ROOT, "services/loadgen/src/main.ts");
    this.#child = spawn(process.execPath, [entry, ...args, ...(isPlain ? ["--plain"] : [])], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#ended = this.#read();
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves with the summary when every order was answered or given up. */
  done(): Promise<LoadReport> {
    return this.#ended;
  }

  /** Places no more orders; those on their way are finished. */
  finish(): void {
    this.#child.kill("SIGTERM");
  }

  async #read(): Promise<LoadReport> {
    const { stdout } = this.#child;
    if (stdout === null) throw new Error("the load generator has no output");
    for await (const line of createInterface({ input: stdout })) this.latest = JSON.parse(line);
    if (this.latest === undefined) throw new Error("the load generator said nothing");
    return this.latest;
  }
}
