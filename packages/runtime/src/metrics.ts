/** Every metric of the chassis, declared once. Names follow OpenTelemetry's semantic conventions in Prometheus spelling. */
import { RPC_BUCKETS_S } from "@ordermesh/mesh/metrics";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

export type Metrics = {
  readonly registry: Registry;
  readonly served: Histogram<"rpc_system_name" | "rpc_method" | "rpc_status_code" | "caller">;
  readonly bugs: Counter;
  readonly connectionsRefused: Counter<"reason">;
  readonly callsForbidden: Counter<"caller" | "rpc_method">;
  readonly ready: Gauge;
  readonly dbOperations: Histogram<"db_system_name" | "db_operation_name">;
  readonly dbErrors: Counter<"error_type">;
  readonly dbConnections: Gauge<"state">;
};

const DB_BUCKETS_S = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  return {
    registry,
    served: new Histogram({
      name: "rpc_server_call_duration_seconds",
      help: "Calls served, by the service that called",
      labelNames: ["rpc_system_name", "rpc_method", "rpc_status_code", "caller"],
      buckets: RPC_BUCKETS_S,
      registers,
    }),
    bugs: new Counter({ name: "mesh_bugs_total", help: "Throws that nobody expected", registers }),
    connectionsRefused: new Counter({
      name: "mesh_server_connections_refused_total",
      help: "Connections that were hung up on: too many, no TLS as it should be, or no certificate that names a service of this mesh",
      labelNames: ["reason"],
      registers,
    }),
    callsForbidden: new Counter({
      name: "mesh_server_calls_forbidden_total",
      help: "Calls of methods that the caller may not call",
      labelNames: ["caller", "rpc_method"],
      registers,
    }),
    ready: new Gauge({ name: "mesh_ready", help: "1 while the process is ready", registers }),
    dbOperations: new Histogram({
      name: "db_client_operation_duration_seconds",
      help: "Statements sent to the database, by the statement's name",
      labelNames: ["db_system_name", "db_operation_name"],
      buckets: DB_BUCKETS_S,
      registers,
    }),
    dbErrors: new Counter({
      name: "db_client_errors_total",
      help: "Statements that failed, by SQLSTATE or kind of connection trouble",
      labelNames: ["error_type"],
      registers,
    }),
    dbConnections: new Gauge({
      name: "db_client_connections",
      help: "Connections of the pool",
      labelNames: ["state"],
      registers,
    }),
  };
}
