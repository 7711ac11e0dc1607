/** What the customers' record says about an interval. Pure; without data there is no value, and never a pass. */
import type { Second } from "./backend.ts";
import type { WORKLOAD_MEASURES } from "./experiment.ts";

export type WorkloadMeasure = (typeof WORKLOAD_MEASURES)[number];

/**
 * In thousandths as a threshold is: of all requests, of a second, of an order each second. Undefined: no data. Customers who wait
 * and are not answered are data: none of them succeeds, and each waits as long as the interval.
 */
export function measureMilli(measure: WorkloadMeasure, seconds: readonly Second[]): number | undefined {
  const [accepted, answered] = [sum(seconds, "accepted"), sum(seconds, "accepted") + sum(seconds, "failed")];
  const isHung = answered === 0 && sum(seconds, "begun") > 0;
  switch (measure) {
    case "SuccessMilli":
      if (isHung) return 0;
      return answered === 0 ? undefined : Math.floor((accepted / answered) * 1_000);
    case "P99Milliseconds":
      return isHung ? seconds.length * 1_000 : quantileMs(mergeLatencies(seconds), 0.99);
    case "AcceptedPerSecondMilli":
      return seconds.length === 0 ? undefined : Math.round((accepted / seconds.length) * 1_000);
  }
}

/** The least bound under which at least `share` of the orders lie; undefined for none. `latencies` ascend. */
export function quantileMs(latencies: Second["latencies"], share: number): number | undefined {
  const wanted = share * latencies.reduce((total, [, orders]) => total + orders, 0);
  let seen = 0;
  for (const [upToMs, orders] of latencies) {
    seen += orders;
    if (seen >= wanted) return upToMs;
  }
  return undefined;
}

/** Percentiles of seconds cannot be averaged; their histograms can be added. */
export function mergeLatencies(seconds: readonly Second[]): Second["latencies"] {
  const merged = new Map<number, number>();
  for (const { latencies } of seconds)
    for (const [upToMs, orders] of latencies) merged.set(upToMs, (merged.get(upToMs) ?? 0) + orders);
  return [...merged].sort(([a], [b]) => a - b);
}

function sum(seconds: readonly Second[], field: "begun" | "accepted" | "failed"): number {
  return seconds.reduce((total, second) => total + second[field], 0);
}
