/** What etcd itself goes through: history that is forgotten, and space that is used up. */
import { parametersOf } from "./action.ts";
import { gaugeOf } from "./admin-ports.ts";
import type { Candidate, InjectContext } from "./backend.ts";
import type { Fault } from "./fault.ts";
import type { Instances } from "./instances.ts";
import { OncePerRound } from "./once-per-round.ts";
import { APPLIED_REVISION } from "./policy-faults.ts";
import type { StoreFaults } from "./store-faults.ts";

/** Where there are no rounds. */
const ONCE = 1;

type CompactionParts<C extends Candidate> = {
  /** The back end's fault for a Partition from etcd. */
  readonly cut: Fault<C>;
  readonly store: StoreFaults;
  readonly instances: Instances;
};

/** Targets are cut off; at the first look that finds all of them so, changes are made that they do not see, and forgotten. */
export function compactionFault<C extends Candidate>(parts: CompactionParts<C>): Fault<C> {
  const { cut, store, instances } = parts;
  /** The first revision that etcd remembers. A process that was started anew lets it forget once more. */
  const forgotten = new OncePerRound<bigint>();
  return {
    planUndo: (target, context, found) =>
      `policy ${context.experiment.uid}; ${cut.planUndo?.(target, cutOf(context), found) ?? "none"}`,
    watch: async (context) => await cut.watch?.(cutOf(context)),
    inject: (target, context) => cut.inject(target, cutOf(context)),
    heal: async (target, context) => {
      await cut.heal(target, cutOf(context));
      await store.heal(context.experiment.uid);
    },
    isHealed: async (target, context) =>
      (await cut.isHealed(target, cutOf(context))) && (await store.count(context.experiment.uid)) === 0,
    evidence: async (targets, context) => {
      const { expected, observed, detail } = await cut.evidence(targets, cutOf(context));
      if (expected === 0 || observed < expected) return { expected, observed: 0, detail: `not cut off yet: ${detail}` };
      const { uid } = context.experiment;
      const { changes } = parametersOf(context.spec.action, "Compaction");
      const first = await forgotten.do(uid, ONCE, () => store.forgetHistory(uid, changes));
      const seen = await seenBy(await instances());
      const behind = targets.filter(({ name }) => (seen.get(name) ?? Number.POSITIVE_INFINITY) < Number(first));
      const told = `${behind.length} of ${targets.length} processes had not seen revision ${first}, the first that etcd remembers`;
      return { expected, observed: behind.length, detail: told };
    },
    forget: (uid) => {
      forgotten.forget(uid);
      cut.forget?.(uid);
    },
  };
}

/** What the cut is asked to do. Pure. */
function cutOf(context: InjectContext): InjectContext {
  const action = { type: "Partition", partition: { peer: "etcd", mode: "Reset" } } as const;
  return { ...context, spec: { ...context.spec, action } };
}

/** The revision that each instance has applied, by its name. */
async function seenBy(instances: Awaited<ReturnType<Instances>>): Promise<ReadonlyMap<string, number>> {
  const seen = await Promise.all(
    instances.map(async ({ name, adminUrl }) => {
      const revision = await gaugeOf(adminUrl, APPLIED_REVISION);
      return revision === undefined ? [] : [[name, revision] as const];
    }),
  );
  return new Map(seen.flat());
}

/** All of etcd takes reads and deletes only, whichever of its members is the target. */
export function spaceAlarmFault(store: StoreFaults): Fault {
  /** By experiment: whether writes were seen to be refused. */
  const refused = new Set<string>();
  return {
    planUndo: (_target, { experiment }) => `space alarm ${experiment.uid}`,
    inject: (_target, { experiment }) => store.raiseAlarm(experiment.uid),
    heal: async (_target, { experiment }) => void (await store.heal(experiment.uid)),
    isHealed: async (_target, { experiment }) => (await store.count(experiment.uid)) === 0,
    evidence: async (targets, { experiment: { uid } }) => {
      if (await store.refusesWrites()) refused.add(uid);
      const observed = refused.has(uid) ? targets.length : 0;
      return { expected: targets.length, observed, detail: observed > 0 ? "a write was refused" : "writes were taken" };
    },
    forget: (uid) => void refused.delete(uid),
  };
}
