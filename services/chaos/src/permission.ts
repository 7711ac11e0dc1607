/** Whether experiments are allowed now: the namespace's opt-in, and the safety lever. Asked again before each act. */
import { type KubeApi, pathOf } from "@ordermesh/kubernetes/kube-api";
import { ifThere } from "@ordermesh/kubernetes/kube-error";

export const ENABLED_LABEL = "chaos.ordermesh.dev/enabled";
export const LEVER = "chaos-safety";

/** A sentence when they are not. @throws KubeError when nobody can tell: nothing is injected then either */
export async function whyNotAllowed(api: KubeApi, namespace: string): Promise<string | undefined> {
  const [{ metadata }, lever] = await Promise.all([
    api.get({ path: pathOf("v1", undefined, "namespaces", namespace) }),
    ifThere(api.get({ path: pathOf("v1", namespace, "configmaps", LEVER) })),
  ]);
  if (metadata.labels?.[ENABLED_LABEL] !== "true")
    return `namespace ${namespace} does not allow experiments: it needs the label ${ENABLED_LABEL}=true`;
  if (lever?.data?.stop === "true") return `the safety lever is engaged: ConfigMap ${LEVER} says stop`;
  return undefined;
}
