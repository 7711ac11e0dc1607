/** New certificates for a service as a whole, once in each round, however many of its processes are targets. */
import type { Sample } from "@ordermesh/chaos/admin-ports";
import type { Fault } from "@ordermesh/chaos/fault";
import { Growths, type Instances } from "@ordermesh/chaos/instances";
import { OncePerRound } from "@ordermesh/chaos/once-per-round";
import { serviceOf } from "@ordermesh/chaos/service-of";
import type { System } from "@ordermesh/local/system";

const RELOADS = "mesh_identity_reloads_total";

/** The service gets another certificate, which its processes must take up. */
export function renewFault(system: System, instances: Instances): Fault {
  const growths = new Growths();
  const renewed = new OncePerRound<void>();
  const applied = ({ name, labels }: Sample) => name === RELOADS && labels.includes('result="applied"');
  return {
    watch: async ({ experiment }) => void (await growths.read(experiment.uid, await instances(), applied)),
    inject: async ({ round }, { experiment: { uid }, spec }) => {
      const service = serviceOf(spec.target.selector.matchLabels);
      await renewed.do(uid, round, () => system.renewCertificate(service));
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
    forget: (uid) => {
      growths.forget(uid);
      renewed.forget(uid);
    },
  };
}
