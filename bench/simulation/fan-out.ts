/** What the registry costs when it grows: leases, and changes that reach every client that watches. */
import { exponential } from "./exponential.ts";

export type Fleet = {
  readonly instances: number;
  readonly services: number;
  /** True: a client watches only the services that it calls. Today it watches all of them. */
  readonly isNarrow: boolean;
};
export type Cost = {
  readonly leasesPerSecond: number;
  /** During a rolling restart of everything. */
  readonly eventsPerSecond: number;
  readonly megabytesPerSecond: number;
  readonly kilobytesPerClientAndSecond: number;
  /** From a change in etcd to the last client that applies it. */
  readonly convergenceP50Ms: number;
  readonly convergenceP99Ms: number;
  readonly megabytesPerClient: number;
};

/** An endpoint's document as `bench/registry/heap.ts` measures it, and a key, revisions and framing. */
const EVENT_BYTES = 341 + 110;
/** A client's memory for an endpoint, from the same. */
const ENDPOINT_BYTES = 1_100;
const RENEWALS_PER_SECOND = 0.3;
const ROLLOUT_S = 600;
/** An instance leaves and comes. */
const CHANGES_PER_INSTANCE = 2;
const CALLED = 5;
/** Watch events that one etcd member sends in a second. An assumption: etcd's own benchmark is of this order. */
export const ETCD_EVENTS_PER_SECOND = 100_000;
const MEMBERS = 3;
/** From etcd's answer to a client that applies it, as measured with 100 clients. */
const HOP_MS = 1;

/** Changes come at random times; each is sent to every watcher by its member, one after the other. */
export function costOf({ instances, services, isNarrow }: Fleet, random: () => number): Cost {
  const watchers = isNarrow ? (instances * CALLED) / services : instances;
  const changesPerSecond = (instances * CHANGES_PER_INSTANCE) / ROLLOUT_S;
  const perMemberMs = (watchers / MEMBERS / ETCD_EVENTS_PER_SECOND) * 1_000;
  const waits: number[] = [];
  let freeMs = 0;
  for (let atMs = 0; atMs < ROLLOUT_S * 1_000; atMs += exponential(1_000 / changesPerSecond, random)) {
    freeMs = Math.max(freeMs, atMs) + perMemberMs;
    waits.push(freeMs - atMs + HOP_MS);
  }
  waits.sort((a, b) => a - b);
  const at = (share: number) => waits[Math.floor(waits.length * share)] ?? 0;
  const eventsPerSecond = changesPerSecond * watchers;
  const known = isNarrow ? (instances / services) * CALLED : instances;
  return {
    leasesPerSecond: instances * RENEWALS_PER_SECOND,
    eventsPerSecond,
    megabytesPerSecond: (eventsPerSecond * EVENT_BYTES) / 1e6,
    kilobytesPerClientAndSecond: ((eventsPerSecond / instances) * EVENT_BYTES) / 1e3,
    convergenceP50Ms: at(0.5),
    convergenceP99Ms: at(0.99),
    megabytesPerClient: (known * ENDPOINT_BYTES) / 1e6,
  };
}
