/** What instances tell on their admin ports; one that does not answer tells nothing. */

const TIMEOUT_MS = 2_000;
const SAMPLE = /^([a-z_:]+)(?:\{(.*)\})? ([0-9.e+-]+)/;

export type Sample = { readonly name: string; readonly labels: string; readonly value: number };

/** Undefined when it does not answer, or dies while it does. */
export async function samplesOf(adminUrl: string, timeoutMs = TIMEOUT_MS): Promise<Sample[] | undefined> {
  const response = await ask(adminUrl, "/metrics", timeoutMs);
  const text = await response?.text().catch(() => undefined);
  return text?.split("\n").flatMap((line) => {
    const [, name = "", labels = "", value = ""] = SAMPLE.exec(line) ?? [];
    return name === "" ? [] : [{ name, labels, value: Number(value) }];
  });
}

/** The value of the first series of a name; undefined when it does not answer, or has none. */
export async function gaugeOf(adminUrl: string, name: string): Promise<number | undefined> {
  return (await samplesOf(adminUrl))?.find((sample) => sample.name === name)?.value;
}

/** The JSON under a path; undefined when it does not answer, or not well. */
export async function jsonOf<T>(adminUrl: string, path: string): Promise<T | undefined> {
  const response = await ask(adminUrl, path);
  return response?.ok ? ((await response.json().catch(() => undefined)) as T | undefined) : undefined;
}

/** @throws Error when it does not answer, or refuses; the message says why */
export async function put(adminUrl: string, path: string, body: string): Promise<void> {
  const response = await fetch(adminUrl + path, { method: "PUT", body, signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${path} was refused: ${(await response.text()).trim()}`);
}

async function ask(adminUrl: string, path: string, timeoutMs = TIMEOUT_MS): Promise<Response | undefined> {
  return await fetch(adminUrl + path, { signal: AbortSignal.timeout(timeoutMs) }).catch(() => undefined);
}

/** How much counters have grown since they were first read, over restarts: what a process counted before it was first read is not ours. */
export class Growth {
  /** By instance and series. */
  readonly #last = new Map<string, number>();
  /** By instance. */
  readonly #grown = new Map<string, number>();
  readonly #known = new Set<string>();

  /** `instance` is a name that a new process in its place shares. */
  add(instance: string, samples: readonly Sample[]): void {
    const isFirst = !this.#known.has(instance);
    this.#known.add(instance);
    for (const { name, labels, value } of samples) {
      const key = `${instance} ${name}{${labels}}`;
      // A series that appears later began at zero.
      const last = this.#last.get(key) ?? (isFirst ? value : 0);
      this.#last.set(key, value);
      const more = value < last ? value : value - last;
      this.#grown.set(instance, (this.#grown.get(instance) ?? 0) + more);
    }
  }

  of(instance: string): number {
    return this.#grown.get(instance) ?? 0;
  }

  /** Sum, and of how many instances. */
  total(): { readonly sum: number; readonly instances: number } {
    const grown = [...this.#grown.values()].filter((value) => value > 0);
    return { sum: grown.reduce((sum, value) => sum + value, 0), instances: grown.length };
  }
}
