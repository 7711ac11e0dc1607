/** What the load generator counts over all its runs. */
import type { Phase } from "@ordermesh/judge/history";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

const BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export type LoadMetrics = { readonly registry: Registry; answered(phase: Phase, seconds: number): void };

/** `inFlight`: customers who wait now. */
export function createLoadMetrics(inFlight: () => number): LoadMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const answers = new Counter({
    name: "loadgen_answers_total",
    help: "Requests for an order, by what the customer knows afterwards: ok, fail or info",
    labelNames: ["phase"],
    registers,
  });
  const latency = new Histogram({
    name: "loadgen_order_duration_seconds",
    help: "From when an order was due until it was acknowledged",
    buckets: BUCKETS_S,
    registers,
  });
  new Gauge({
    name: "loadgen_orders_in_flight",
    help: "Customers who wait for an answer",
    registers,
    collect() {
      this.set(inFlight());
    },
  });
  return {
    registry,
    answered(phase, seconds) {
      answers.inc({ phase });
      if (phase === "ok") latency.observe(seconds);
    },
  };
}
