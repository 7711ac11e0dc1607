/** Fault rules in etcd: every caller applies them by itself, and they end by themselves. */
import type { Clock } from "@ordermesh/mesh/clock";
import type { FaultRule } from "@ordermesh/mesh/fault-rule";
import type { Sample } from "./admin-ports.ts";
import type { InjectContext } from "./backend.ts";
import type { Fault } from "./fault.ts";
import type { Growths, Instances } from "./instances.ts";
import { serviceOf } from "./service-of.ts";
import { cutRuleOf, ruleOf, type StoreFaults } from "./store-faults.ts";

type Rule = Omit<FaultRule, "schemaVersion">;
type Parts = {
  readonly store: StoreFaults;
  readonly instances: Instances;
  readonly growths: Growths;
  readonly clock: Pick<Clock, "wallMs">;
};

const INJECTED = "mesh_faults_injected_total";

/** Pure. */
function rulesOf({ spec, expiresAtMs }: InjectContext): readonly Rule[] {
  const { action, target } = spec;
  const service = serviceOf(target.selector.matchLabels);
  if (action.type === "MeshFault") return [ruleOf(action.meshFault, service, expiresAtMs)];
  if (action.type !== "Partition") throw new RangeError(`${action.type} is no rule`);
  const { mode, peer } = action.partition;
  // Whichever of them calls the other.
  return [cutRuleOf(mode, peer, service, expiresAtMs), cutRuleOf(mode, service, peer, expiresAtMs)];
}

/** For MeshFault, and for Partition between two services: on the connections that they have, whoever opened them. */
export function ruleFault({ store, instances, growths, clock }: Parts): Fault {
  const read = async (context: InjectContext) => {
    const isWanted = ({ name, labels }: Sample) =>
      name === INJECTED && rulesOf(context).some(({ service }) => labels.includes(`server_address="${service}"`));
    return await growths.read(context.experiment.uid, await instances(), isWanted);
  };
  return {
    planUndo: (_target, { experiment }) => `fault rules ${experiment.uid}`,
    watch: async (context) => void (await read(context)),
    inject: async (_target, context) => {
      for (const [index, rule] of rulesOf(context).entries())
        await store.putRule(context.experiment.uid, index + 1, rule, clock.wallMs());
    },
    heal: async (_target, { experiment }) => void (await store.heal(experiment.uid)),
    isHealed: async (_target, { experiment }) => (await store.count(experiment.uid)) === 0,
    evidence: async (_targets, context) => {
      const { sum, instances: callers } = (await read(context)).total();
      return { expected: 1, observed: callers, detail: `${callers} callers met the rule, ${sum} times` };
    },
    forget: (uid) => growths.forget(uid),
  };
}
