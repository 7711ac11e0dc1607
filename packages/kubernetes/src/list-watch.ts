/**
 * The objects of one kind in one namespace, followed: a list, then a watch from its revision, with bookmarks. Anything that goes
 * wrong ends in a new list after a pause; so does silence, and so does time, as a watch may miss what it never says.
 */
import { type Clock, jitter, type Random } from "@ordermesh/mesh/clock";
import type { MeshLog } from "@ordermesh/mesh/log";
import type { KubeApi, KubeObject } from "./kube-api.ts";
import { KubeError } from "./kube-error.ts";

export type WatchOptions = {
  readonly api: KubeApi;
  readonly path: string;
  readonly labelSelector?: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: MeshLog;
  /** Only takes note, and must not throw: the name of what may have changed. */
  readonly onChange: (name: string) => void;
  /** A watch that says nothing for so long is given up; the server sends a bookmark about every minute. */
  readonly silenceMs?: number;
};

const SILENCE_MS = 90_000;
const WATCH_SECONDS = 240;
const RELIST_EVERY_MS = 45_000;
/** A server that ends every watch at once is not asked again at once. */
const SHORTEST_WATCH_MS = 1_000;
const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 10_000;
const JITTER = 0.3;
const PAGE = 500;

export class ListWatch {
  readonly #options: WatchOptions;
  readonly #stop = new AbortController();
  #objects = new Map<string, KubeObject>();
  #heardMs = Number.NEGATIVE_INFINITY;
  #isListed = false;
  #running: Promise<void> | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  get(name: string): KubeObject | undefined {
    return this.#objects.get(name);
  }

  names(): string[] {
    return [...this.#objects.keys()];
  }

  /** Whether a list ever came. */
  get isListed(): boolean {
    return this.#isListed;
  }

  /** Milliseconds since the API server last said anything. */
  silenceMs(): number {
    return this.#options.clock.nowMs() - this.#heardMs;
  }

  async #run(): Promise<void> {
    const { clock, random, log, path } = this.#options;
    let pauseMs = FIRST_PAUSE_MS;
    while (!this.#stop.signal.aborted) {
      try {
        const revision = await this.#list();
        pauseMs = FIRST_PAUSE_MS;
        await this.#watch(revision);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        const asked = error instanceof KubeError ? error.retryAfterMs : 0;
        log.warn({ err: error, path }, "following the api server failed, listing again");
        await clock.sleep(jitter(Math.max(pauseMs, asked), JITTER, random), this.#stop.signal);
        pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS);
      }
    }
  }

  async #list(): Promise<string> {
    const { api, path, labelSelector, onChange } = this.#options;
    const objects = new Map<string, KubeObject>();
    let token: string | undefined;
    let revision = "";
    do {
      const query = { labelSelector, limit: PAGE, continue: token };
      const list: KubeObject = await api.get({ path, query, signal: this.#stop.signal });
      for (const object of list.items) objects.set(object.metadata.name, object);
      revision = list.metadata.resourceVersion;
      token = list.metadata.continue || undefined;
    } while (token !== undefined);
    const names = new Set([...this.#objects.keys(), ...objects.keys()]);
    this.#objects = objects;
    this.#isListed = true;
    this.#heard();
    for (const name of names) onChange(name);
    return revision;
  }

  /** Resolves when it is time for a new list. */
  async #watch(listed: string): Promise<void> {
    const { api, path, labelSelector, clock, random, silenceMs = SILENCE_MS } = this.#options;
    const relistMs = clock.nowMs() + jitter(RELIST_EVERY_MS, JITTER, random);
    let revision = listed;
    while (!this.#stop.signal.aborted && clock.nowMs() < relistMs) {
      const leftMs = Math.max(1_000, Math.min(WATCH_SECONDS * 1_000, relistMs - clock.nowMs()));
      const query = {
        labelSelector,
        watch: true,
        allowWatchBookmarks: true,
        resourceVersion: revision,
        timeoutSeconds: Math.ceil(leftMs / 1_000),
      };
      const openedMs = clock.nowMs();
      for await (const line of api.lines({ path, query, signal: this.#stop.signal }, silenceMs))
        revision = this.#take(line) ?? revision;
      if (clock.nowMs() - openedMs < SHORTEST_WATCH_MS) await clock.sleep(SHORTEST_WATCH_MS, this.#stop.signal);
    }
  }

  /** The revision that the line speaks of. @throws KubeError for what ends a watch: too old a revision, half a line */
  #take(line: string): string | undefined {
    if (line === "") return undefined;
    const event = parse(line);
    this.#heard();
    if (event.type === "ERROR")
      throw new KubeError(event.object.code ?? 0, event.object.reason ?? "Unknown", event.object.message ?? "");
    const { name, resourceVersion } = event.object.metadata;
    if (event.type === "BOOKMARK") return resourceVersion;
    if (event.type === "DELETED") this.#objects.delete(name);
    else this.#objects.set(name, event.object);
    this.#options.onChange(name);
    return resourceVersion;
  }

  #heard(): void {
    this.#heardMs = this.#options.clock.nowMs();
  }
}

function parse(line: string): { type: string; object: KubeObject } {
  try {
    const event = JSON.parse(line);
    if (typeof event?.object?.metadata === "object" || event?.type === "ERROR") return event;
  } catch {
    // Answered below: half a line is as good as none.
  }
  throw new KubeError(0, "BrokenWatch", "a line of a watch is not an event");
}
