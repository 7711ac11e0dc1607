/** Faults that are done to a service as a whole, once in each round, however many of its processes are targets. */

import type { Sample } from "@ordermesh/chaos/admin-ports";
import { actedOn, type Fault } from "@ordermesh/chaos/fault";
import { Growths, type Instances } from "@ordermesh/chaos/instances";
import { serviceOf } from "@ordermesh/chaos/service-of";
import { terminateConnections } from "@ordermesh/local/postgres";
import type { System } from "@ordermesh/local/system";

const RELOADS = "mesh_identity_reloads_total";

/** PostgreSQL ends all connections to the service's database. */
export function terminateFault(system: System): Fault {
  /** By experiment and round: how many there were. */
  const ended = new Map<string, number>();
  const keyOf = (uid: string, round: number) => `${uid} ${round}`;
  return {
    inject: async ({ round }, { experiment: { uid }, spec }) => {
      const key = keyOf(uid, round);
      if (ended.has(key)) return;
      const service = serviceOf(spec.target.selector.matchLabels);
      ended.set(key, await terminateConnections(system.parts.postgres.address, service));
    },
    heal: async () => undefined, // Services connect again by themselves.
    isHealed: async () => true,
    evidence: async (targets, { experiment: { uid } }) => {
      const counts = actedOn(targets).map(({ round }) => ended.get(keyOf(uid, round)) ?? 0);
      const observed = counts.filter((count) => count > 0).length;
      const sum = [...ended].reduce((total, [key, count]) => (key.startsWith(uid) ? total + count : total), 0);
      return { expected: targets.length, observed, detail: `${sum} connections were ended` };
    },
    forget: () => ended.clear(),
  };
}

/** The service gets another certificate, which its processes must take up. */
export function renewFault(system: System, instances: Instances): Fault {
  const growths = new Growths();
  const renewed = new Set<string>();
  const applied = ({ name, labels }: Sample) => name === RELOADS && labels.includes('result="applied"');
  return {
    watch: async ({ experiment }) => void (await growths.read(experiment.uid, await instances(), applied)),
    inject: async ({ round }, { experiment: { uid }, spec }) => {
      const key = `${uid} ${round}`;
      if (renewed.has(key)) return;
      await system.renewCertificate(serviceOf(spec.target.selector.matchLabels));
      renewed.add(key);
    },
    heal: async () => undefined, // The new ones are as good as the old ones.
    isHealed: async () => true,
    evidence: async (targets, { experiment }) => {
      const growth = await growths.read(experiment.uid, await instances(), applied);
      const rounds = Map.groupBy(targets, ({ name }) => name);
      const seen = [...rounds].map(([name, own]) => Math.min(own.length, growth.of(name)));
      const observed = seen.reduce((sum, count) => sum + count, 0);
      return { expected: targets.length, observed, detail: `certificates were taken up ${observed} times` };
    },
    forget: (uid) => growths.forget(uid),
  };
}
