/** Chooses an endpoint for one attempt. Pure but for its own counter: no connections, no clock. */
import type { Endpoint } from "./endpoint.ts";

/** An endpoint with what the connection to it is doing. */
export type Candidate = { readonly endpoint: Endpoint; readonly isFailing: boolean };

export type Balancer = {
  /**
   * One of `candidates`, which is never empty; `tried` holds the addresses of this call's earlier attempts.
   * An endpoint that was tried or whose connection fails is chosen only when there is no other.
   */
  pick(candidates: readonly Candidate[], tried: ReadonlySet<string>): Endpoint;
};

/** Takes endpoints in turn. `offset` sets where a client begins, so that many clients do not begin at the same one. */
export function roundRobin(offset: number): Balancer {
  let next = offset;
  return {
    pick(candidates, tried) {
      const fresh = candidates.filter(({ endpoint, isFailing }) => !isFailing && !tried.has(endpoint.address));
      const untried = candidates.filter(({ endpoint }) => !tried.has(endpoint.address));
      const choice = [fresh, untried, candidates].find(({ length }) => length > 0) ?? candidates;
      next = (next + 1) % Number.MAX_SAFE_INTEGER;
      const picked = choice[next % choice.length];
      if (picked === undefined) throw new RangeError("a balancer needs at least one candidate");
      return picked.endpoint;
    },
  };
}
