/** What is kept of an experiment that has ended: a ConfigMap that goes with it. */
import { API_VERSION, KIND } from "@ordermesh/chaos/experiment";
import { type KubeApi, type KubeObject, pathOf } from "@ordermesh/kubernetes/kube-api";
import { isStatus } from "@ordermesh/kubernetes/kube-error";

/** Kubernetes takes 1 MiB of data. */
const MAX_CHARACTERS = 900_000;
const MAX_NAME = 253;

/** Pure. */
export function reportNameOf(experiment: string): string {
  return `${experiment.slice(0, MAX_NAME - "-report".length)}-report`;
}

/** Files by name; what is too long is left out. Resolves with the ConfigMap's name. @throws KubeError */
export async function storeReport(
  api: KubeApi,
  { metadata }: KubeObject,
  files: Readonly<Record<string, string>>,
): Promise<string> {
  const { name: experiment, namespace, uid } = metadata;
  const name = reportNameOf(experiment);
  const data: Record<string, string> = {};
  let left = MAX_CHARACTERS;
  for (const [file, text] of Object.entries(files)) {
    if (text.length > left) continue;
    data[file] = text;
    left -= text.length;
  }
  const body = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name,
      namespace,
      labels: { "app.kubernetes.io/part-of": "ordermesh", "chaos.ordermesh.dev/report": "true" },
      ownerReferences: [{ apiVersion: API_VERSION, kind: KIND, name: experiment, uid }],
    },
    data,
  };
  try {
    await api.create({ path: pathOf("v1", namespace, "configmaps") }, body);
  } catch (error) {
    if (!isStatus(error, 409)) throw error;
    await api.replace({ path: pathOf("v1", namespace, "configmaps", name) }, body); // Of an earlier one of that name.
  }
  return name;
}
