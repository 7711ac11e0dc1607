/** The instances that an experiment watches: their admin ports, read again and again, and what has grown there since. */
import { Growth, type Sample, samplesOf } from "./admin-ports.ts";
import type { Pod, Pods } from "./pods.ts";

/** Pods of the release that have an admin server. */
export async function instancesOf(pods: Pods, release: Readonly<Record<string, string>>): Promise<Pod[]> {
  return (await pods.list(release)).filter(({ adminUrl, isTerminating }) => adminUrl !== undefined && !isTerminating);
}

/** One growth for each experiment; `isWanted` says which series count. */
export class Growths {
  readonly #byUid = new Map<string, Growth>();

  /** Reads the pods' counters; the first time it only takes note. */
  async read(experimentUid: string, pods: readonly Pod[], isWanted: (sample: Sample) => boolean): Promise<Growth> {
    const growth = this.#byUid.get(experimentUid) ?? new Growth();
    this.#byUid.set(experimentUid, growth);
    await Promise.all(
      pods.map(async ({ name, adminUrl }) => {
        const samples = adminUrl === undefined ? undefined : await samplesOf(adminUrl);
        if (samples !== undefined) growth.add(name, samples.filter(isWanted));
      }),
    );
    return growth;
  }

  forget(experimentUid: string): void {
    this.#byUid.delete(experimentUid);
  }
}
