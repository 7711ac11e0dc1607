/** Wires the auditor. */
import { KubernetesApi } from "@ordermesh/kubernetes/api";
import type { ServiceContext } from "@ordermesh/runtime/service";
import { Counter, Gauge, type Registry } from "prom-client";
import type { SETTINGS } from "./config.ts";
import { driftOf } from "./drift.ts";

export async function startAuditor(context: ServiceContext<typeof SETTINGS>) {
  const { config, log, metrics, clock, mesh, lifecycle } = context;
  const api = KubernetesApi.inCluster(config.namespace);
  const { drift, audits } = createAuditMetrics(metrics.registry);

  const audit = async () => {
    const serving = await api.servingPods(config.release);
    const registered = new Map(
      [...mesh.endpoints].map(([service, endpoints]) => [service, endpoints.map(({ address }) => hostOf(address))]),
    );
    drift.reset(); // A service that neither side knows any more is no drift.
    for (const { service, missingIn, count } of driftOf(registered, serving))
      drift.set({ service, missing_in: missingIn }, count);
  };
  const auditing = (async () => {
    while (!lifecycle.stopping.aborted) {
      await audit().then(
        () => audits.inc({ result: "done" }),
        (error: unknown) => {
          audits.inc({ result: "failed" });
          log.warn({ err: error }, "audit failed, trying again");
        },
      );
      await clock.sleep(config.auditEveryMs, lifecycle.stopping);
    }
  })();
  lifecycle.onDrain("audit", () => auditing);
  return [];
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(":"));
}

function createAuditMetrics(registry: Registry) {
  const registers = [registry];
  return {
    drift: new Gauge({
      name: "mesh_endpoint_drift",
      help: "Instances that serve but are not registered, or are registered but do not serve, by where they are missing",
      labelNames: ["service", "missing_in"],
      registers,
    }),
    audits: new Counter({
      name: "mesh_endpoint_audits_total",
      help: "Comparisons of the registry with Kubernetes' EndpointSlices",
      labelNames: ["result"],
      registers,
    }),
  };
}
