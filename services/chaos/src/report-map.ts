/** Where reports are kept: in a ConfigMap that goes with its experiment. */
import type { Reports } from "@ordermesh/chaos/backend";
import { API_VERSION, KIND } from "@ordermesh/chaos/experiment";
import { reportFiles, reportMapOf } from "@ordermesh/chaos/report-files";
import { type KubeApi, pathOf } from "@ordermesh/kubernetes/kube-api";
import { isStatus } from "@ordermesh/kubernetes/kube-error";

export function reportMaps(api: KubeApi): Reports {
  return {
    keep: async (report) => {
      const { name: experiment, namespace, uid } = report.experiment;
      const name = reportMapOf(experiment);
      const metadata = {
        name,
        namespace,
        labels: { "app.kubernetes.io/part-of": "ordermesh", "chaos.ordermesh.dev/report": "true" },
        ownerReferences: [{ apiVersion: API_VERSION, kind: KIND, name: experiment, uid }],
      };
      const body = { apiVersion: "v1", kind: "ConfigMap", metadata, data: reportFiles(report) };
      try {
        await api.create({ path: pathOf("v1", namespace, "configmaps") }, body);
      } catch (error) {
        if (!isStatus(error, 409)) throw error;
        await api.replace({ path: pathOf("v1", namespace, "configmaps", name) }, body); // Of an earlier one of that name.
      }
      return { kind: "ConfigMap", name };
    },
  };
}
