/** The settings of the auditor. */
import { BASE_SETTINGS } from "@ordermesh/runtime/base-settings";
import { integer, text } from "@ordermesh/runtime/config";

export const SETTINGS = {
  ...BASE_SETTINGS,
  namespace: text("MESH_NAMESPACE", "Kubernetes namespace that is compared"),
  release: text("MESH_RELEASE", "Helm release that is compared, by the label app.kubernetes.io/instance"),
  auditEveryMs: integer("MESH_AUDIT_EVERY_MS", "milliseconds between two comparisons", {
    min: 500,
    max: 600_000,
    fallback: "5000",
  }),
};
