/** A process's life: when it is ready, and in which order it stops. Pure but for the clock; service.ts adds signals and exit. */
import type { Clock } from "@ordermesh/mesh/clock";
import type { Logger } from "./log.ts";

type Named = { readonly name: string; readonly work: () => Promise<void> };

export class Lifecycle {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #checks = new Map<string, () => string | undefined>();
  readonly #drains: Named[] = [];
  readonly #closes: Named[] = [];
  readonly #onFail: (error: unknown) => void;

  constructor(clock: Clock, log: Logger, onFail: (error: unknown) => void) {
    this.#clock = clock;
    this.#log = log;
    this.#onFail = onFail;
  }

  /** Aborts when the process begins to stop. */
  get stopping(): AbortSignal {
    return this.#stop.signal;
  }

  /** `check` gives why the process is not ready, or undefined when it is. */
  addReadiness(name: string, check: () => string | undefined): void {
    this.#checks.set(name, check);
  }

  /** Why the process is not ready, by name; empty when it is. */
  unreadyReasons(): Record<string, string> {
    const reasons: Record<string, string> = this.stopping.aborted ? { lifecycle: "stopping" } : {};
    for (const [name, check] of this.#checks) {
      const reason = check();
      if (reason !== undefined) reasons[name] = reason;
    }
    return reasons;
  }

  /** Runs after the process has left the registry, together with all other drains. */
  onDrain(name: string, work: () => Promise<void>): void {
    this.#drains.push({ name, work });
  }

  /** Runs after the drain, in reverse order of registration. */
  onClose(name: string, work: () => Promise<void>): void {
    this.#closes.push({ name, work });
  }

  /** Something that the process cannot live without has ended: the process ends, and its supervisor starts a new one. */
  fail(error: unknown): void {
    this.#onFail(error);
  }

  /** Not ready → `leave` (the registry) → delay → drains, at most `drainTimeoutMs` → closes. */
  async shutdown(options: { leave: () => Promise<void>; drainDelayMs: number; drainTimeoutMs: number }): Promise<void> {
    this.#stop.abort();
    await this.#run({ name: "deregister", work: options.leave });
    await this.#clock.sleep(options.drainDelayMs);
    const drained = Promise.all(this.#drains.map((drain) => this.#run(drain))).then(() => true);
    const enough = new AbortController();
    const timeout = this.#clock.sleep(options.drainTimeoutMs, enough.signal).then(() => false);
    if (!(await Promise.race([drained, timeout]))) this.#log.warn("drain timed out");
    enough.abort();
    for (const close of this.#closes.toReversed()) await this.#run(close);
  }

  async #run({ name, work }: Named): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#log.error({ err: error, "mesh.step": name }, "shutdown step failed");
    }
  }
}
