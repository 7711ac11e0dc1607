/** The metrics of the controller. */
import { Counter, Gauge, type Registry } from "prom-client";

export type ChaosMetrics = ReturnType<typeof createChaosMetrics>;

export function createChaosMetrics(registry: Registry) {
  const registers = [registry];
  return {
    experiments: new Gauge({
      name: "chaos_experiments",
      help: "Experiments that are there, by phase",
      labelNames: ["phase"],
      registers,
    }),
    verdicts: new Counter({
      name: "chaos_verdicts_total",
      help: "Experiments that ended, by verdict and reason",
      labelNames: ["verdict", "reason"],
      registers,
    }),
    healFailures: new Counter({
      name: "chaos_heal_failures_total",
      help: "Experiments whose fault could not be undone within recoverySeconds; it is tried on",
      registers,
    }),
    visitErrors: new Counter({
      name: "chaos_visit_errors_total",
      help: "Visits at experiments that failed, and are made again",
      registers,
    }),
    leading: new Gauge({ name: "chaos_leading", help: "1 while this process acts", registers }),
    silence: new Gauge({
      name: "chaos_watch_silence_seconds",
      help: "Seconds since the API server last said anything about experiments",
      registers,
    }),
  };
}
