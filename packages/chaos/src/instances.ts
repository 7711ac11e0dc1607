/** The instances that an experiment watches: their admin ports, read again and again, and what has grown there since. */
import { Growth, type Sample, samplesOf } from "./admin-ports.ts";

/** A process of a service that has an admin server; `name` is shared by the process that takes its place. */
export type Instance = { readonly name: string; readonly adminUrl: string };

/** Those that there are now. */
export type Instances = () => Promise<readonly Instance[]>;

/** One growth for each experiment; `isWanted` says which series count. */
export class Growths {
  readonly #byUid = new Map<string, Growth>();

  /** Reads the instances' counters; the first time it only takes note. */
  async read(
    experimentUid: string,
    instances: readonly Instance[],
    isWanted: (sample: Sample) => boolean,
  ): Promise<Growth> {
    const growth = this.#byUid.get(experimentUid) ?? new Growth();
    this.#byUid.set(experimentUid, growth);
    await Promise.all(
      instances.map(async ({ name, adminUrl }) => {
        const samples = await samplesOf(adminUrl);
        if (samples !== undefined) growth.add(name, samples.filter(isWanted));
      }),
    );
    return growth;
  }

  forget(experimentUid: string): void {
    this.#byUid.delete(experimentUid);
  }
}
