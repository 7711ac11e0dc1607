/** The settings that processes share; a service's own table spreads those that it uses. */
import { integer, list, oneOf, text, url } from "./config.ts";

export const BASE_SETTINGS = {
  grpcPort: integer("MESH_GRPC_PORT", "port of the gRPC server; 0 takes a free one", {
    min: 0,
    max: 65_535,
    fallback: "50051",
  }),
  adminPort: integer("MESH_ADMIN_PORT", "port of the admin server; 0 takes a free one", {
    min: 0,
    max: 65_535,
    fallback: "9090",
  }),
  bindHost: text("MESH_BIND_HOST", "address that the servers listen on", { fallback: "0.0.0.0" }),
  advertiseHost: text("MESH_ADVERTISE_HOST", "host under which others reach this process", { fallback: "127.0.0.1" }),
  etcdEndpoints: list("MESH_ETCD_ENDPOINTS", "etcd client addresses", { fallback: "http://127.0.0.1:2379" }),
  etcdPrefix: text("MESH_ETCD_PREFIX", "what all keys in etcd start with", { fallback: "/ordermesh" }),
  connection: oneOf(
    "MESH_CONNECTION",
    "what carries calls to other services: our own connection over node:http2, or grpc-js channels",
    ["http2", "grpc-js"],
    "http2",
  ),
  tls: oneOf("MESH_TLS", "mutual TLS between services; off only where the network is trusted", ["on", "off"], "on"),
  tlsDir: text("MESH_TLS_DIR", "folder with tls.crt, tls.key and ca.crt in PEM; read again when they change", {
    fallback: "/etc/mesh/tls",
  }),
  trustDomain: text("MESH_TRUST_DOMAIN", "certificates are for spiffe://<this>/service/<service>", {
    fallback: "ordermesh",
  }),
  instance: text("MESH_INSTANCE", "name of this instance, unique in its service; empty for a random one", {
    fallback: "",
  }),
  version: text("MESH_VERSION", "version that is registered and logged", { fallback: "dev" }),
  zone: text("MESH_ZONE", "zone that is registered", { fallback: "local" }),
  pod: text("MESH_POD", "name of the pod, if there is one", { fallback: "" }),
  node: text("MESH_NODE", "name of the node, if there is one", { fallback: "" }),
  otlpEndpoint: text(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OpenTelemetry collector that gets spans over HTTP; empty for none",
    {
      fallback: "",
    },
  ),
  logLevel: oneOf("MESH_LOG_LEVEL", "least level that is logged", ["debug", "info", "warn", "error"], "info"),
  environment: oneOf(
    "MESH_ENVIRONMENT",
    "dev serves gRPC reflection, test allows failpoints",
    ["dev", "test", "production"],
    "production",
  ),
  failpoints: text("MESH_FAILPOINTS", "failpoints to arm at start, in the test environment only", { fallback: "" }),
  drainDelayMs: integer("MESH_DRAIN_DELAY_MS", "milliseconds between leaving the registry and refusing calls", {
    min: 0,
    max: 60_000,
    fallback: "2000",
  }),
  drainTimeoutMs: integer("MESH_DRAIN_TIMEOUT_MS", "milliseconds that open calls get to finish", {
    min: 100,
    max: 120_000,
    fallback: "15000",
  }),
};

export const POSTGRES_SETTINGS = {
  postgresUrl: url("MESH_POSTGRES_URL", "URL of this service's database", ["postgres:", "postgresql:"], {
    secret: true,
  }),
  postgresPoolSize: integer("MESH_POSTGRES_POOL_SIZE", "connections to the database", {
    min: 1,
    max: 100,
    fallback: "8",
  }),
};
