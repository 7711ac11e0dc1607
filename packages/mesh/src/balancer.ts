/** Chooses an endpoint for one attempt. Pure but for a counter: no connections; time and chance come in. */
import type { Random } from "./clock.ts";
import type { Endpoint } from "./endpoint.ts";
import type { EndpointHealth } from "./endpoint-health.ts";
import { hash32, mix32 } from "./hash.ts";

/** An endpoint with what its connection does and what is known of it. */
export type Candidate = { readonly endpoint: Endpoint; readonly isFailing: boolean; readonly health: EndpointHealth };

/** One attempt: the addresses of this call's earlier attempts, and what a sticky choice depends on. */
export type Choice = {
  readonly tried: ReadonlySet<string>;
  readonly nowMs: number;
  readonly hashKey?: string | undefined;
};

export type Balancer = {
  /**
   * One of `candidates`, which is never empty. One that was tried, fails, is ejected or has its fill of calls is chosen only
   * when there is no other.
   */
  pick<C extends Candidate>(candidates: readonly C[], choice: Choice): C;
};

export const MAX_IN_FLIGHT_PER_ENDPOINT = 128;
/** A new endpoint gets its full share after this time, and a tenth of it at first. */
const SLOW_START_MS = 10_000;
const SLOW_START_FLOOR = 0.1;
const RANDOM_TRIES = 3;

/** Two at random, the less loaded one (power of two choices): what is slow gets less, without a queue anywhere. */
export function leastLoadedOfTwo(random: Random): Balancer {
  const pickOne = <C>(from: readonly C[]) => from[Math.floor(random() * from.length)] as C;
  return {
    pick(candidates, choice) {
      const { nowMs } = choice;
      for (let tries = 0; tries < RANDOM_TRIES && candidates.length > 1; tries += 1) {
        const [first, second] = [pickOne(candidates), pickOne(candidates)];
        if (first === second || !isUsable(first, choice) || !isUsable(second, choice)) continue;
        if (second.health.wantsCall(nowMs)) return second;
        return first.health.wantsCall(nowMs) ? first : lighter(first, second, nowMs);
      }
      const usable = usableOf(candidates, choice);
      const first = pickOne(usable);
      const others = usable.filter((candidate) => candidate !== first);
      return others.length === 0 ? first : lighter(first, pickOne(others), nowMs);
    },
  };
}

/** Takes endpoints in turn. `offset` sets where a client begins, so that many clients do not begin at the same one. */
export function roundRobin(offset: number): Balancer {
  let next = offset;
  return {
    pick(candidates, choice) {
      const usable = usableOf(candidates, choice);
      next = (next + 1) % Number.MAX_SAFE_INTEGER;
      return usable[next % usable.length] as (typeof usable)[number];
    },
  };
}

/**
 * The same endpoint for the same `hashKey` (weighted rendezvous hashing): when an endpoint comes or goes, only its own keys
 * move. Calls without a key are spread like `fallback` does.
 */
export function consistentHash(fallback: Balancer): Balancer {
  return {
    pick(candidates, choice) {
      const { hashKey } = choice;
      if (hashKey === undefined) return fallback.pick(candidates, choice);
      const keyHash = hash32(hashKey);
      return best(usableOf(candidates, choice), ({ endpoint }) =>
        rank(mix32(keyHash ^ instanceHash(endpoint)), endpoint.weight),
      );
    },
  };
}

/**
 * The endpoints that one client of many uses: all of them up to `over`, else `size`, chosen by its own name so that clients
 * spread evenly and keep most of theirs when one comes or goes.
 */
export function subset(
  endpoints: readonly Endpoint[],
  client: string,
  { over = 50, size = 20 } = {},
): readonly Endpoint[] {
  if (endpoints.length <= over) return endpoints;
  const ranked = endpoints.map((endpoint) => ({ endpoint, by: rank(hash32(`${client}/${endpoint.instance}`), 1) }));
  return ranked
    .sort((a, b) => b.by - a.by)
    .slice(0, size)
    .map(({ endpoint }) => endpoint);
}

/** Endpoints of the caller's zone while most of these work; all otherwise, so that a sick zone's load goes elsewhere. */
export function preferZone<C extends Candidate>(candidates: readonly C[], zone: string, nowMs: number): readonly C[] {
  const local = candidates.filter(({ endpoint }) => endpoint.zone === zone);
  if (local.length === 0 || local.length === candidates.length) return candidates;
  const working = local.filter(({ isFailing, health }) => !isFailing && health.isOpen(nowMs));
  return working.length * 2 > local.length ? local : candidates;
}

function isUsable({ endpoint, isFailing, health }: Candidate, { tried, nowMs }: Choice): boolean {
  return (
    !isFailing &&
    health.inFlight < MAX_IN_FLIGHT_PER_ENDPOINT &&
    health.isOpen(nowMs) &&
    (tried.size === 0 || !tried.has(endpoint.address))
  );
}

/** The best that there is: usable ones; those that were not tried and whose connection works; not tried; any. */
function usableOf<C extends Candidate>(candidates: readonly C[], choice: Choice): readonly C[] {
  const tiers: ((candidate: C) => boolean)[] = [
    (candidate) => isUsable(candidate, choice),
    ({ endpoint, isFailing }) => !isFailing && !choice.tried.has(endpoint.address),
    ({ endpoint }) => !choice.tried.has(endpoint.address),
  ];
  for (const tier of tiers) {
    const found = candidates.filter(tier);
    if (found.length > 0) return found;
  }
  if (candidates.length === 0) throw new RangeError("a balancer needs at least one candidate");
  return candidates;
}

function lighter<C extends Candidate>(first: C, second: C, nowMs: number): C {
  return costOf(second, nowMs) < costOf(first, nowMs) ? second : first;
}

function costOf({ endpoint, health }: Candidate, nowMs: number): number {
  const share = Math.min(1, Math.max(SLOW_START_FLOOR, (nowMs - health.bornMs) / SLOW_START_MS));
  return health.load(nowMs) / (endpoint.weight * share);
}

function best<C>(from: readonly C[], rankOf: (candidate: C) => number): C {
  let found = from[0] as C;
  let highest = Number.NEGATIVE_INFINITY;
  for (const candidate of from) {
    const by = rankOf(candidate);
    if (by > highest) [found, highest] = [candidate, by];
  }
  return found;
}

/** Weighted rendezvous hashing: the share of keys that a name wins is its weight's. */
function rank(hash: number, weight: number): number {
  return -weight / Math.log((hash + 1) / 4_294_967_297);
}

const instanceHashes = new WeakMap<Endpoint, number>();

/** Computed once, as each call of a sticky client looks at all endpoints. */
function instanceHash(endpoint: Endpoint): number {
  const known = instanceHashes.get(endpoint);
  if (known !== undefined) return known;
  const made = hash32(endpoint.instance);
  instanceHashes.set(endpoint, made);
  return made;
}
