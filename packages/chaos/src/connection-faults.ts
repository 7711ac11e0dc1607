/** PostgreSQL ends the connections of a service, again and again. */

import type { Fault } from "./fault.ts";
import { OncePerRound } from "./once-per-round.ts";
import { serviceOf } from "./service-of.ts";
import type { TargetStatus } from "./status.ts";

/** Ends all connections of the service to its database; resolves with how many there were. */
export type EndConnections = (service: string) => Promise<number>;

export function connectionFault(end: EndConnections): Fault {
  const ended = new OncePerRound<number>(); // All targets share one database.
  return {
    inject: async ({ round }: TargetStatus, { experiment: { uid }, spec }) => {
      await ended.do(uid, round, () => end(serviceOf(spec.target.selector.matchLabels)));
    },
    heal: async () => undefined, // Pools connect anew.
    isHealed: async () => true,
    evidence: async (targets, { experiment: { uid } }) => {
      const rounds = new Set(targets.map(({ round }) => round));
      const observed = [...rounds].filter((round) => (ended.get(uid, round) ?? 0) > 0).length;
      const detail = `PostgreSQL ended ${ended.sum(uid)} connections in ${observed} rounds`;
      return { expected: rounds.size, observed, detail };
    },
    forget: (uid) => ended.forget(uid),
  };
}
