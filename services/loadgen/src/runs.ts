/** All runs of this process by name, and the names of runs that are known no more. */
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "@ordermesh/mesh/clock";
import { createLoadMetrics, type LoadMetrics } from "./metrics.ts";
import { Run, type RunRequest } from "./run.ts";
import type { ShopClient } from "./shop-client.ts";

/** Runs that place orders at a time, and all that are remembered; then the one that finished first is forgotten, not its file. */
const MAX_ACTIVE = 8;
const MAX_KNOWN = 64;
const SUFFIX = ".jsonl";

type Options = {
  readonly client: Pick<ShopClient, "place" | "read">;
  readonly clock: Clock;
  readonly historyDir: string;
};

export class Runs {
  readonly metrics: LoadMetrics;
  readonly #options: Options;
  readonly #runs = new Map<string, Run>();
  readonly #lost: Set<string>;

  /** @throws Error when the folder cannot be had */
  constructor(options: Options) {
    this.#options = options;
    mkdirSync(options.historyDir, { recursive: true });
    const files = readdirSync(options.historyDir).filter((file) => file.endsWith(SUFFIX));
    this.#lost = new Set(files.map((file) => file.slice(0, -SUFFIX.length)));
    const inFlight = () => this.all().reduce((sum, run) => sum + run.view().counts.inFlight, 0);
    this.metrics = createLoadMetrics(inFlight);
  }

  all(): Run[] {
    return [...this.#runs.values()];
  }

  find(name: string): Run | undefined {
    return this.#runs.get(name);
  }

  /** There was a run of this name, maybe of an earlier process: its file may end too early, and its keys are used. */
  isLost(name: string): boolean {
    return this.#lost.has(name);
  }

  /** Undefined when there are too many. */
  start(name: string, request: RunRequest): Run | undefined {
    if (this.all().filter((run) => run.view().state !== "Finished").length >= MAX_ACTIVE) return undefined;
    const { client, clock, historyDir } = this.#options;
    const run = new Run({ name, request, client, clock, metrics: this.metrics, file: join(historyDir, name + SUFFIX) });
    this.#runs.set(name, run);
    const oldest = this.all().find((one) => one.view().state === "Finished");
    if (this.#runs.size > MAX_KNOWN && oldest !== undefined) this.#forget(oldest.view().name);
    return run;
  }

  #forget(name: string): void {
    this.#runs.delete(name);
    this.#lost.add(name);
  }

  async finishAll(): Promise<void> {
    await Promise.allSettled(this.all().map((run) => run.finish()));
  }
}
