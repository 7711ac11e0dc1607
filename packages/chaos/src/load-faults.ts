/** Faults that customers make: too many orders, and one order many times. */
import { parametersOf } from "./action.ts";
import type { InjectContext, Workload } from "./backend.ts";
import type { Fault } from "./fault.ts";

/** What is looked at to see a spike. */
const WINDOW_MS = 3_000;

/** Orders come more often than the experiment's rate, by the factor. */
export function spikeFault(workload: Workload, nowMs: () => number): Fault {
  const factorOf = ({ spec }: InjectContext) => parametersOf(spec.action, "LoadSpike").factor;
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
  const requestsOf = ({ spec }: InjectContext) => parametersOf(spec.action, "RepeatedKey").requests;
  const answered = new Map<string, Promise<number>>();
  return {
    inject: async (_target, context) => {
      const { uid } = context.experiment;
      const asked = answered.get(uid) ?? workload.repeat(uid, requestsOf(context));
      answered.set(uid, asked);
      await asked;
    },
    heal: async () => undefined,
    isHealed: async () => true,
    evidence: async (_targets, context) => {
      const observed = (await answered.get(context.experiment.uid)) ?? 0;
      return { expected: requestsOf(context), observed, detail: `${observed} requests under one key were answered` };
    },
    forget: (uid) => void answered.delete(uid),
  };
}
