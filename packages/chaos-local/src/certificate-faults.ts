/** Certificates of a service as a whole, once in each round, however many of its processes are targets. */
import { gaugeOf, type Sample } from "@ordermesh/chaos/admin-ports";
import type { Fault } from "@ordermesh/chaos/fault";
import { Growths, type Instances } from "@ordermesh/chaos/instances";
import { OncePerRound } from "@ordermesh/chaos/once-per-round";
import { serviceOf } from "@ordermesh/chaos/service-of";
import type { System } from "@ordermesh/local/system";

const RELOADS = "mesh_identity_reloads_total";
const EXPIRY = "mesh_identity_expiry_timestamp_seconds";
/** Long enough to be taken up: processes look for a new one every 2 s. */
const SHORT_LIFE_MS = 5_000;

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

/** The service gets a certificate that runs out soon, and a good one when it is healed. */
export function expireFault(system: System, instances: Instances): Fault {
  const issued = new OncePerRound<void>();
  const expired = new Map<string, Set<string>>();
  /** Seconds for which the certificate of a target still holds; undefined when it does not say. */
  const remaining = async (name: string): Promise<number | undefined> => {
    const adminUrl = (await instances()).find((one) => one.name === name)?.adminUrl;
    const expiry = adminUrl === undefined ? undefined : await gaugeOf(adminUrl, EXPIRY);
    return expiry === undefined ? undefined : expiry - Date.now() / 1_000;
  };
  return {
    inject: async (_target, { experiment: { uid }, spec }) => {
      const service = serviceOf(spec.target.selector.matchLabels);
      await issued.do(uid, 1, () => system.renewCertificate(service, SHORT_LIFE_MS));
    },
    heal: async (_target, { spec }) => await system.renewCertificate(serviceOf(spec.target.selector.matchLabels)),
    isHealed: async ({ name }) => ((await remaining(name)) ?? 0) > SHORT_LIFE_MS / 1_000,
    evidence: async (targets, { experiment: { uid } }) => {
      const own = expired.get(uid) ?? new Set();
      expired.set(uid, own);
      for (const { name } of targets) if (((await remaining(name)) ?? 0) < 0) own.add(name);
      const detail = `${own.size} of ${targets.length} processes had a certificate that had run out`;
      return { expected: targets.length, observed: own.size, detail };
    },
    forget: (uid) => {
      issued.forget(uid);
      expired.delete(uid);
    },
  };
}
