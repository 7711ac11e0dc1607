/** Every metric of the mesh, declared once. Names follow OpenTelemetry's semantic conventions in Prometheus spelling. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { AttemptCounts } from "./attempt-counts.ts";
import type { Clock } from "./clock.ts";

/** Bucket bounds in seconds: those of the semantic conventions for RPC, and two below for calls that take about a millisecond. */
export const RPC_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

const QUEUE_BUCKETS_S = [0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 1];

export type StoreMetrics = {
  readonly resyncs: Counter<"reason">;
  /** Prefix to the monotonic time of its last listing or event, in milliseconds. */
  readonly lastSyncMs: Map<string, number>;
};

export type IdentityMetrics = {
  readonly identityExpiry: Gauge;
  readonly identityReloads: Counter<"result">;
};

export type MeshMetrics = StoreMetrics &
  IdentityMetrics & {
    readonly calls: Histogram<"rpc_system_name" | "rpc_method" | "rpc_status_code" | "server_address">;
    readonly attempts: AttemptCounts;
    readonly retries: Counter<"server_address">;
    readonly retriesRefused: Counter<"server_address">;
    readonly ejections: Counter<"server_address">;
    readonly callsRefused: Counter<"server_address">;
    readonly queueWait: Histogram<"server_address">;
    readonly mirrored: Counter<"server_address" | "result">;
    readonly callsShed: Counter<"cause">;
    readonly shedShare: Gauge;
    readonly concurrencyLimit: Gauge<"rpc_method">;
    readonly endpoints: Gauge<"service">;
    readonly badEndpoints: Counter;
    readonly leaseRenewals: Counter<"result">;
    readonly policyRevision: Gauge;
    readonly policyRejected: Counter;
    readonly faultRules: Gauge;
    readonly faults: Counter<"server_address" | "kind">;
    readonly configRevision: Gauge;
    readonly configRejected: Counter;
  };

export function createMeshMetrics(registry: Registry, clock: Clock): MeshMetrics {
  const registers = [registry];
  const lastSyncMs = new Map<string, number>();
  new Gauge({
    name: "mesh_store_last_sync_age_seconds",
    help: "Seconds since the last listing or event from the store",
    labelNames: ["prefix"],
    registers,
    collect() {
      for (const [prefix, atMs] of lastSyncMs) this.set({ prefix }, (clock.nowMs() - atMs) / 1_000);
    },
  });
  return {
    lastSyncMs,
    resyncs: new Counter({
      name: "mesh_etcd_resync_total",
      help: "Listings made because a watch broke, a listing failed or a minute had passed",
      labelNames: ["reason"],
      registers,
    }),
    ...createCallMetrics(registry),
    ...createPolicyMetrics(registry),
    ...createIdentityMetrics(registry),
    ...createServerMetrics(registry),
    endpoints: new Gauge({
      name: "mesh_registry_endpoints",
      help: "Endpoints known for a service",
      labelNames: ["service"],
      registers,
    }),
    badEndpoints: new Counter({
      name: "mesh_registry_bad_endpoints_total",
      help: "Endpoint documents that were skipped because they are not valid",
      registers,
    }),
    leaseRenewals: new Counter({
      name: "mesh_lease_renewals_total",
      help: "Lease grants and keepalives of this process",
      labelNames: ["result"],
      registers,
    }),
    configRevision: new Gauge({
      name: "mesh_config_applied_revision",
      help: "Store revision of the live configuration that is applied; 0 for the built-in one",
      registers,
    }),
    configRejected: new Counter({
      name: "mesh_config_rejected_total",
      help: "Live configuration documents that were refused; the last good one stays",
      registers,
    }),
  };
}

type PolicyMetrics = Pick<MeshMetrics, "policyRevision" | "policyRejected" | "faultRules" | "faults">;

function createPolicyMetrics(registry: Registry): PolicyMetrics {
  const registers = [registry];
  return {
    policyRevision: new Gauge({
      name: "mesh_policy_applied_revision",
      help: "Store revision of the traffic policy that is applied; 0 before the first",
      registers,
    }),
    policyRejected: new Counter({
      name: "mesh_policy_rejected_total",
      help: "Policy documents and fault rules that were refused; the last good ones stay",
      registers,
    }),
    faultRules: new Gauge({
      name: "mesh_fault_rules",
      help: "Fault rules that are known, expired ones too",
      registers,
    }),
    faults: new Counter({
      name: "mesh_faults_injected_total",
      help: "Attempts that were delayed or aborted by a fault rule",
      labelNames: ["server_address", "kind"],
      registers,
    }),
  };
}

function createIdentityMetrics(registry: Registry): IdentityMetrics {
  const registers = [registry];
  return {
    identityExpiry: new Gauge({
      name: "mesh_identity_expiry_timestamp_seconds",
      help: "When the certificate of this process ends, in Unix time; 0 without one",
      registers,
    }),
    identityReloads: new Counter({
      name: "mesh_identity_reloads_total",
      help: "Changed certificates that were applied or refused",
      labelNames: ["result"],
      registers,
    }),
  };
}

type ServerMetrics = Pick<MeshMetrics, "callsShed" | "shedShare" | "concurrencyLimit">;

function createServerMetrics(registry: Registry): ServerMetrics {
  const registers = [registry];
  return {
    callsShed: new Counter({
      name: "mesh_server_calls_shed_total",
      help: "Calls that this server did not take, by what was too much",
      labelNames: ["cause"],
      registers,
    }),
    shedShare: new Gauge({
      name: "mesh_server_shed_ratio",
      help: "Share of the calls that this server refuses because its event loop is late",
      registers,
    }),
    concurrencyLimit: new Gauge({
      name: "mesh_server_concurrency_limit",
      help: "Calls of a method that this server takes at a time",
      labelNames: ["rpc_method"],
      registers,
    }),
  };
}

type CallMetrics = Pick<
  MeshMetrics,
  "calls" | "attempts" | "retries" | "retriesRefused" | "ejections" | "callsRefused" | "queueWait" | "mirrored"
>;

function createCallMetrics(registry: Registry): CallMetrics {
  const registers = [registry];
  return {
    calls: new Histogram({
      name: "rpc_client_call_duration_seconds",
      help: "Calls made, with all their attempts",
      labelNames: ["rpc_system_name", "rpc_method", "rpc_status_code", "server_address"],
      buckets: RPC_BUCKETS_S,
      registers,
    }),
    attempts: createAttemptCounts(registry),
    retries: new Counter({
      name: "mesh_client_retries_total",
      help: "Attempts after the first",
      labelNames: ["server_address"],
      registers,
    }),
    retriesRefused: new Counter({
      name: "mesh_client_retries_refused_total",
      help: "Retries that were not made because the budget was spent",
      labelNames: ["server_address"],
      registers,
    }),
    ejections: new Counter({
      name: "mesh_client_ejections_total",
      help: "Times an endpoint was taken out because its calls failed",
      labelNames: ["server_address"],
      registers,
    }),
    callsRefused: new Counter({
      name: "mesh_client_calls_refused_total",
      help: "Calls that were refused because too many to their service were waiting, or came too fast",
      labelNames: ["server_address"],
      registers,
    }),
    queueWait: new Histogram({
      name: "mesh_client_queue_wait_seconds",
      help: "How long calls waited for their turn that came while as many as allowed were under way",
      labelNames: ["server_address"],
      buckets: QUEUE_BUCKETS_S,
      registers,
    }),
    mirrored: new Counter({
      name: "mesh_client_mirrored_calls_total",
      help: "Copies of calls that another version got",
      labelNames: ["server_address", "result"],
      registers,
    }),
  };
}

function createAttemptCounts(registry: Registry): AttemptCounts {
  const counts = new AttemptCounts();
  new Counter({
    name: "mesh_client_attempts_total",
    help: "Attempts sent, by the version that got them, how they ended and the how manieth of their call they were",
    labelNames: ["server_address", "server_version", "rpc_method", "rpc_status_code", "attempt"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { labels, count } of counts.all()) this.inc(labels, count);
    },
  });
  return counts;
}
