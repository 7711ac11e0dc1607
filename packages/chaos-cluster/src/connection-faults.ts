/** PostgreSQL ends the connections of a service, again and again. */

import type { Fault } from "@ordermesh/chaos/fault";
import { serviceOf } from "@ordermesh/chaos/service-of";
import type { TargetStatus } from "@ordermesh/chaos/status";

/** Ends all connections of the service to its database; resolves with how many there were. */
export type EndConnections = (service: string) => Promise<number>;

export function connectionFault(end: EndConnections): Fault {
  /** By experiment and round, as all targets share one database. */
  const ended = new Map<string, Map<number, number>>();
  return {
    inject: async ({ round }: TargetStatus, { experiment: { uid }, spec }) => {
      const own = ended.get(uid) ?? new Map<number, number>();
      ended.set(uid, own);
      if (own.has(round)) return;
      own.set(round, 0);
      own.set(round, await end(serviceOf(spec.target.selector.matchLabels)));
    },
    heal: async () => undefined, // Pools connect anew.
    isHealed: async () => true,
    evidence: async (targets, { experiment }) => {
      const rounds = new Set(targets.map(({ round }) => round));
      const seen = [...(ended.get(experiment.uid) ?? [])].filter(([, count]) => count > 0);
      const sum = seen.reduce((all, [, count]) => all + count, 0);
      const detail = `PostgreSQL ended ${sum} connections in ${seen.length} rounds`;
      return { expected: rounds.size, observed: seen.length, detail };
    },
    forget: (uid) => void ended.delete(uid),
  };
}
