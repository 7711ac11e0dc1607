/** Takes a release's Kafka topics away while the operator that ends their finalizers still runs. */
import type { KubernetesApi } from "./api.ts";

const POLL_MS = 1_000;

type Options = {
  readonly api: Pick<KubernetesApi, "topics" | "deleteTopic" | "endFinalizers">;
  readonly release: string;
  /** How long the operator gets. */
  readonly graceMs: number;
  readonly nowMs: () => number;
  readonly sleep: (ms: number) => Promise<unknown>;
  readonly say: (line: string) => void;
};

/** Resolves when no topic is left. @throws Error when the API server does not answer */
export async function removeTopics({ api, release, graceMs, nowMs, sleep, say }: Options): Promise<void> {
  const names = await api.topics(release);
  for (const name of names) await api.deleteTopic(name);
  say(`${names.length} topics are being deleted`);
  const endsMs = nowMs() + graceMs;
  let left = await api.topics(release);
  while (left.length > 0) {
    if (nowMs() >= endsMs)
      for (const name of left) {
        say(`${name}: its operator did not end the finalizer within ${graceMs / 1_000} s; ended`);
        await api.endFinalizers(name);
      }
    await sleep(POLL_MS);
    left = await api.topics(release);
  }
}
