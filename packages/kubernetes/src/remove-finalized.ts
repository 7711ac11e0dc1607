/** Takes objects away while those who end their finalizers still run. */

const POLL_MS = 1_000;

/** Objects of one kind. */
export type Finalized = {
  /** Of those that are there still. @throws Error when the API server does not answer */
  readonly names: () => Promise<readonly string[]>;
  /** Resolves when the deletion is noted; the object goes when its finalizers are ended. */
  readonly remove: (name: string) => Promise<void>;
  readonly endFinalizers: (name: string) => Promise<void>;
};

type Options = {
  readonly objects: Finalized;
  /** How they are called in what is said, in the plural. */
  readonly what: string;
  /** How long whoever ends the finalizers gets. */
  readonly graceMs: number;
  readonly nowMs: () => number;
  readonly sleep: (ms: number) => Promise<unknown>;
  readonly say: (line: string) => void;
};

/** Resolves when nothing is left. @throws Error when the API server does not answer */
export async function removeFinalized({ objects, what, graceMs, nowMs, sleep, say }: Options): Promise<void> {
  const names = await objects.names();
  for (const name of names) await objects.remove(name);
  say(`${names.length} ${what} are being deleted`);
  const endsMs = nowMs() + graceMs;
  let left = await objects.names();
  while (left.length > 0) {
    if (nowMs() >= endsMs)
      for (const name of left) {
        say(`${name}: nobody ended its finalizers within ${graceMs / 1_000} s; ended`);
        await objects.endFinalizers(name);
      }
    await sleep(POLL_MS);
    left = await objects.names();
  }
}
