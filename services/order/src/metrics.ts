/** The order service's own metrics, declared once. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";

export type OrderMetrics = {
  readonly orders: Counter<"outcome" | "reason">;
  readonly steps: Histogram<"step" | "result">;
  readonly places: Gauge;
  readonly open: Gauge;
  readonly oldestAge: Gauge;
  readonly needsAttention: Gauge;
};

export function createOrderMetrics(registry: Registry): OrderMetrics {
  const registers = [registry];
  return {
    orders: new Counter({
      name: "orders_total",
      help: "Orders that were accepted, confirmed or cancelled",
      labelNames: ["outcome", "reason"],
      registers,
    }),
    steps: new Histogram({
      name: "saga_step_duration_seconds",
      help: "Steps of sagas, by what came of them",
      labelNames: ["step", "result"],
      buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers,
    }),
    places: new Gauge({ name: "saga_places", help: "Orders that this process may drive at the same time", registers }),
    open: new Gauge({ name: "saga_open_orders", help: "Orders that are neither confirmed nor cancelled", registers }),
    oldestAge: new Gauge({ name: "saga_oldest_age_seconds", help: "Age of the oldest open order", registers }),
    needsAttention: new Gauge({
      name: "saga_needs_attention_orders",
      help: "Orders that cannot go on by themselves; somebody has to look",
      registers,
    }),
  };
}
