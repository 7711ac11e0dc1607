/** Faults that customers make: too many orders, and one order many times. */
import type { InjectContext, Workload } from "./backend.ts";
import type { Fault } from "./fault.ts";

/** What is looked at to see a spike. */
const WINDOW_MS = 3_000;

/** Orders come more often than the experiment's rate, by the factor. */
export function spikeFault(workload: Workload, nowMs: () => number): Fault {
  const factorOf = ({ spec: { action } }: InjectContext) => {
    if (action.type !== "LoadSpike") throw new RangeError(`${action.type} is no LoadSpike`);
    return action.loadSpike.factor;
  };
  return {
    inject: async (_target, context) => {
      const { ratePerSecond } = context.spec.workload;
      await workload.setRate(context.experiment.uid, ratePerSecond * factorOf(context));
    },
    heal: async (_target, { experiment, spec }) => {
      await workload.setRate(experiment.uid, spec.workload.ratePerSecond);
    },
    isHealed: async () => true, // The load generator has said so.
    evidence: async (_targets, context) => {
      const toMs = nowMs();
      const seconds = await workload.seconds(context.experiment.uid, { fromMs: toMs - WINDOW_MS, toMs });
      const begun = (seconds ?? []).reduce((sum, second) => sum + second.begun, 0);
      const perSecond = begun / Math.max(1, seconds?.length ?? 0);
      // Arrivals are random, and the window may reach back before the spike.
      const isSeen = perSecond >= (context.spec.workload.ratePerSecond * factorOf(context)) / 2;
      return { expected: 1, observed: isSeen ? 1 : 0, detail: `${perSecond.toFixed(1)} orders began each second` };
    },
  };
}

/** One further order is sent many times at once under one key, once in an experiment. */
export function repeatedKeyFault(workload: Workload): Fault {
  const answered = new Map<string, Promise<number>>();
  return {
    inject: async (_target, { experiment: { uid }, spec: { action } }) => {
      if (action.type !== "RepeatedKey") throw new RangeError(`${action.type} is no RepeatedKey`);
      const asked = answered.get(uid) ?? workload.repeat(uid, action.repeatedKey.requests);
      answered.set(uid, asked);
      await asked;
    },
    heal: async () => undefined,
    isHealed: async () => true,
    evidence: async (_targets, { experiment: { uid }, spec: { action } }) => {
      const expected = action.type === "RepeatedKey" ? action.repeatedKey.requests : 0;
      const observed = (await answered.get(uid)) ?? 0;
      return { expected, observed, detail: `${observed} requests under one key were answered` };
    },
    forget: (uid) => void answered.delete(uid),
  };
}
