/** Traffic policies that are replaced, or written again and again; what was there before is kept in etcd beside them. */
import { parsePolicy } from "@ordermesh/mesh/policy";
import { parametersOf } from "./action.ts";
import { gaugeOf, jsonOf } from "./admin-ports.ts";
import type { InjectContext } from "./backend.ts";
import type { Fault } from "./fault.ts";
import type { Growths, Instance, Instances } from "./instances.ts";
import { serviceOf } from "./service-of.ts";
import type { StoreFaults } from "./store-faults.ts";

type Parts = {
  readonly store: StoreFaults;
  readonly instances: Instances;
  readonly growths: Growths;
};

/** The part of `/debug/mesh` that is read here. */
type Debug = {
  readonly policy: { readonly revision: string; readonly documents: Readonly<Record<string, object>> };
};

/** Gauge of every instance: the revision of etcd that its policies are of. */
export const APPLIED_REVISION = "mesh_policy_applied_revision";
/** An instance that has applied so many of them follows. */
const REVISIONS_SEEN = 3;

function undone(store: StoreFaults): Pick<Fault, "planUndo" | "heal" | "isHealed"> {
  return {
    planUndo: (_target, { experiment }) => `policy ${experiment.uid}`,
    heal: async (_target, { experiment }) => void (await store.heal(experiment.uid)),
    isHealed: async (_target, { experiment }) => (await store.count(experiment.uid)) === 0,
  };
}

export function policyFault({ store, instances: find, growths }: Parts): Fault {
  const rejections = async ({ experiment }: InjectContext, instances: readonly Instance[]) =>
    await growths.read(experiment.uid, instances, ({ name }) => name === "mesh_policy_rejected_total");
  return {
    ...undone(store),
    watch: async (context) => void (await rejections(context, await find())),
    inject: async (_target, { experiment, spec }) => {
      await store.putPolicy(
        experiment.uid,
        serviceOf(spec.target.selector.matchLabels),
        parametersOf(spec.action, "Policy").document,
      );
    },
    evidence: async (_targets, context) => {
      const instances = await find();
      const growth = await rejections(context, instances);
      const { document, expect } = parametersOf(context.spec.action, "Policy");
      const service = serviceOf(context.spec.target.selector.matchLabels);
      const seen = await Promise.all(
        instances.map(async ({ name, adminUrl }) =>
          expect === "Rejected" ? growth.of(name) > 0 : await applies(adminUrl, service, document),
        ),
      );
      const observed = seen.filter(Boolean).length;
      const did = expect === "Rejected" ? "refused" : "applied";
      return { expected: instances.length, observed, detail: `${observed} of ${instances.length} instances ${did} it` };
    },
    forget: (uid) => growths.forget(uid),
  };
}

async function applies(adminUrl: string, service: string, document: string): Promise<boolean> {
  const debug = await jsonOf<Debug>(adminUrl, "/debug/mesh");
  // In the same order of fields as an instance tells it.
  return JSON.stringify(debug?.policy.documents[service]) === JSON.stringify(parsePolicy(document));
}

export function policyDeleteFault({ store, instances: find }: Omit<Parts, "growths">): Fault {
  return {
    ...undone(store),
    inject: async (_target, { experiment, spec }) => {
      await store.deletePolicy(experiment.uid, serviceOf(spec.target.selector.matchLabels));
    },
    evidence: async (_targets, { experiment, spec }) => {
      const service = serviceOf(spec.target.selector.matchLabels);
      const deletedAt = await store.replacedAt(experiment.uid, service);
      const instances = await find();
      const lacks = await Promise.all(
        instances.map(async ({ adminUrl }) => {
          const policy = (await jsonOf<Debug>(adminUrl, "/debug/mesh"))?.policy;
          if (policy === undefined || deletedAt === undefined) return false;
          return BigInt(policy.revision) >= deletedAt && policy.documents[service] === undefined;
        }),
      );
      const observed = lacks.filter(Boolean).length;
      const detail = `${observed} of ${instances.length} instances saw that it is gone`;
      return { expected: instances.length, observed, detail };
    },
  };
}

/** Writes while this process lives; what is written says the same as before. */
export function policyChurnFault({ store, instances: find }: Omit<Parts, "growths">): Fault {
  const churns = new Map<string, NodeJS.Timeout>();
  /** By experiment and instance: the revisions that it was seen to apply. */
  const seen = new Map<string, Map<string, Set<number>>>();
  const stop = (uid: string) => {
    clearInterval(churns.get(uid));
    churns.delete(uid);
  };
  return {
    ...undone(store),
    inject: async (_target, { experiment: { uid }, spec, expiresAtMs }) => {
      const { perSecond } = parametersOf(spec.action, "PolicyChurn");
      if (churns.has(uid)) return;
      const service = serviceOf(spec.target.selector.matchLabels);
      let isBusy = false;
      const touch = () => {
        if (Date.now() > expiresAtMs) stop(uid);
        if (isBusy) return;
        isBusy = true;
        // One that was lost to another writer is followed by the next.
        void store
          .touchPolicy(uid, service)
          .catch(() => undefined)
          .finally(() => {
            isBusy = false;
          });
      };
      churns.set(uid, setInterval(touch, 1_000 / perSecond));
    },
    heal: async (_target, { experiment: { uid } }) => {
      stop(uid);
      await store.heal(uid);
    },
    evidence: async (_targets, { experiment: { uid } }) => {
      const instances = await find();
      const ofAll = seen.get(uid) ?? new Map<string, Set<number>>();
      seen.set(uid, ofAll);
      for (const { name, adminUrl } of instances) {
        const revision = await gaugeOf(adminUrl, APPLIED_REVISION);
        if (revision !== undefined) ofAll.set(name, (ofAll.get(name) ?? new Set()).add(revision));
      }
      const observed = instances.filter(({ name }) => (ofAll.get(name)?.size ?? 0) > REVISIONS_SEEN).length;
      const detail = `${observed} of ${instances.length} instances applied more than ${REVISIONS_SEEN} revisions`;
      return { expected: instances.length, observed, detail };
    },
    forget: (uid) => {
      stop(uid);
      seen.delete(uid);
    },
  };
}
