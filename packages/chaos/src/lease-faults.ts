/** Registrations are taken away: instances must notice, and register again under a new lease. */
import type { Backend } from "./backend.ts";
import type { Fault } from "./fault.ts";
import { serviceOf } from "./service-of.ts";
import type { TargetStatus } from "./status.ts";
import type { StoreFaults } from "./store-faults.ts";

export function leaseFault(store: StoreFaults, find: Backend["find"]): Fault {
  /** By experiment: target and round of what was really revoked. A process that was started anew has not seen what came before. */
  const revoked = new Map<string, Set<string>>();
  const keyOf = ({ uid, round }: TargetStatus) => `${uid}#${round}`;
  return {
    inject: async (target, { experiment: { uid }, spec }) => {
      const own = revoked.get(uid) ?? new Set();
      revoked.set(uid, own);
      if (own.has(keyOf(target))) return;
      const service = serviceOf(spec.target.selector.matchLabels);
      if ((await store.revokeLeases(service, [target.name])) > 0) own.add(keyOf(target));
    },
    heal: async () => undefined, // Instances register again by themselves.
    isHealed: async (
      target,
      {
        spec: {
          target: { selector },
        },
      },
    ) => {
      if (await store.isRegistered(serviceOf(selector.matchLabels), target.name)) return true;
      return (await find(selector.matchLabels)).every(({ uid }) => uid !== target.uid);
    },
    evidence: async (targets, { experiment }) => {
      const observed = revoked.get(experiment.uid)?.size ?? 0;
      return { expected: targets.length, observed, detail: `${observed} registrations were there and were revoked` };
    },
    forget: (uid) => void revoked.delete(uid),
  };
}
