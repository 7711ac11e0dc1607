/** The settings of the controller. */
import { KAFKA_SETTINGS } from "@ordermesh/events/settings";
import { BASE_SETTINGS } from "@ordermesh/runtime/base-settings";
import { oneOf, text, url } from "@ordermesh/runtime/config";
import { parseDatabases } from "./databases.ts";

export const SETTINGS = {
  ...BASE_SETTINGS,
  ...KAFKA_SETTINGS,
  namespace: text("MESH_NAMESPACE", "Kubernetes namespace whose experiments are run, in which their targets are too"),
  release: text("MESH_RELEASE", "Helm release whose instances are watched, by the label app.kubernetes.io/instance"),
  customersUrl: url("MESH_CUSTOMERS_URL", "where `loadgen --serve` listens, which places the orders", ["http:"]),
  prometheusUrl: url(
    "MESH_PROMETHEUS_URL",
    "Prometheus that checks are asked of; empty for none",
    ["http:", "https:"],
    {
      fallback: "",
    },
  ),
  faultsInProcesses: oneOf(
    "MESH_FAULTS_IN_PROCESSES",
    "whether services crash, stand still and break connections when asked to, as in the test environment",
    ["on", "off"],
    "off",
  ),
  networkPolicies: oneOf(
    "MESH_NETWORK_POLICIES",
    "whether the chart's NetworkPolicies let pods out, so that the label chaos.ordermesh.dev/cut keeps them in",
    ["on", "off"],
    "off",
  ),
  databases: {
    env: "MESH_DATABASES",
    help: "URLs of the services' databases, for the judge: `order=postgres://…`, one after another, separated by spaces",
    secret: true,
    parse: parseDatabases,
  },
};
