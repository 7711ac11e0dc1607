/** Counters of a system's processes, added up over their restarts: read often, as a process that is killed takes its counters with it. */
import { setInterval as every } from "node:timers/promises";
import { type Sample, samplesOf } from "@ordermesh/chaos/admin-ports";

const READ_EVERY_MS = 250;
const READ_TIMEOUT_MS = 1_000;

export class Counters {
  readonly #adminUrls: readonly string[];
  readonly #isWanted: (sample: Sample) => boolean;
  readonly #stop = new AbortController();
  readonly #reading: Promise<void>;
  /** By process and series: what was read last, and the sum of what came since the first reading. */
  readonly #last = new Map<string, number>();
  readonly #sums = new Map<string, number>();

  /** Reads all processes every 250 ms until `stop`. */
  constructor(adminUrls: readonly string[], isWanted: (sample: Sample) => boolean) {
    this.#adminUrls = adminUrls;
    this.#isWanted = isWanted;
    this.#reading = this.#readOn();
  }

  /** Reads once more; resolves with the sums by series, of all processes together, zeros left out. */
  async stop(): Promise<ReadonlyMap<string, number>> {
    this.#stop.abort();
    await this.#reading;
    await this.read();
    return new Map([...this.#sums].filter(([, value]) => value > 0));
  }

  async read(): Promise<void> {
    await Promise.all(
      this.#adminUrls.map(async (url) => {
        for (const sample of (await samplesOf(url, READ_TIMEOUT_MS)) ?? [])
          if (this.#isWanted(sample)) this.#add(url, sample);
      }),
    );
  }

  async #readOn(): Promise<void> {
    await this.read();
    try {
      for await (const _ of every(READ_EVERY_MS, undefined, { signal: this.#stop.signal })) await this.read();
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    }
  }

  #add(url: string, { name, labels, value }: Sample): void {
    const series = `${name}{${labels}}`;
    const key = `${url} ${series}`;
    const last = this.#last.get(key) ?? 0;
    this.#last.set(key, value);
    const more = value < last ? value : value - last; // A new process counts from zero.
    this.#sums.set(series, (this.#sums.get(series) ?? 0) + more);
  }
}
