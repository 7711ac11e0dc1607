/** Pods as experiments see them. */
import type { Candidate, InjectContext } from "@ordermesh/chaos/backend";
import { COMPONENT_LABEL } from "@ordermesh/chaos/service-of";
import { type KubeApi, type KubeObject, pathOf } from "@ordermesh/kubernetes/kube-api";
import { isStatus } from "@ordermesh/kubernetes/kube-error";

export const UID_LABEL = "chaos.ordermesh.dev/experiment-uid";
const PROTECTED_LABEL = "chaos.ordermesh.dev/protected";
/** What experiments are made with is never their target. */
const OURS: readonly string[] = ["chaos", "customers"];
const ADMIN_PORT = "admin";

export type Owner = { readonly kind: string; readonly name: string };

export type Pod = Candidate & {
  /** Wall clock, milliseconds. */
  readonly createdAtMs: number;
  readonly isTerminating: boolean;
  /** Of all its containers. */
  readonly restarts: number;
  /** How each container that was started again had ended, by its exit code. */
  readonly exitCodes: readonly number[];
  readonly labels: Readonly<Record<string, string>>;
  /** `http://10.0.0.7:9090`; undefined for a pod without an admin server or address. */
  readonly adminUrl: string | undefined;
  readonly owner: Owner | undefined;
};

/** Pure. */
export function podOf({ metadata, spec, status = {} }: KubeObject): Pod {
  const labels: Record<string, string> = metadata.labels ?? {};
  const isTerminating = metadata.deletionTimestamp !== undefined;
  const conditions: { type: string; status: string }[] = status.conditions ?? [];
  const containers: KubeObject[] = status.containerStatuses ?? [];
  const owner = metadata.ownerReferences?.find(({ controller }: KubeObject) => controller === true);
  return {
    kind: "Pod",
    name: metadata.name,
    uid: metadata.uid,
    node: spec?.nodeName ?? "",
    isReady: !isTerminating && conditions.some(({ type, status: is }) => type === "Ready" && is === "True"),
    isProtected: labels[PROTECTED_LABEL] === "true" || OURS.includes(labels[COMPONENT_LABEL] ?? ""),
    createdAtMs: Date.parse(metadata.creationTimestamp),
    isTerminating,
    restarts: containers.reduce((sum, { restartCount }) => sum + restartCount, 0),
    exitCodes: containers.flatMap(({ lastState }) => lastState?.terminated?.exitCode ?? []),
    labels,
    adminUrl: adminUrlOf(spec, status),
    owner: owner === undefined ? undefined : { kind: owner.kind, name: owner.name },
  };
}

function adminUrlOf(spec: KubeObject, status: KubeObject): string | undefined {
  const ports: KubeObject[] = (spec?.containers ?? []).flatMap((container: KubeObject) => container.ports ?? []);
  const admin = ports.find(({ name }) => name === ADMIN_PORT);
  if (admin === undefined || status.podIP === undefined) return undefined;
  const host = status.podIP.includes(":") ? `[${status.podIP}]` : status.podIP;
  return `http://${host}:${admin.containerPort}`;
}

export function readyIn(pods: readonly Pick<Pod, "isReady">[]): number {
  return pods.filter(({ isReady }) => isReady).length;
}

export class Pods {
  readonly #api: KubeApi;
  readonly #namespace: string;

  constructor(api: KubeApi, namespace: string) {
    this.#api = api;
    this.#namespace = namespace;
  }

  /** Those that have not ended. @throws KubeError */
  async list(labels: Readonly<Record<string, string>>): Promise<Pod[]> {
    const labelSelector = Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(",");
    const list = await this.#api.get({ path: this.#path(), query: { labelSelector } });
    return list.items
      .filter(({ status }: KubeObject) => !["Succeeded", "Failed"].includes(status?.phase))
      .map(podOf)
      .filter(({ labels: own }: Pod) => Object.entries(labels).every(([key, value]) => own[key] === value));
  }

  /** The pod that was the target, if it is still there. @throws KubeError */
  async find({ uid }: Pick<Pod, "uid">, { spec }: Pick<InjectContext, "spec">): Promise<Pod | undefined> {
    return (await this.list(spec.target.selector.matchLabels)).find((pod) => pod.uid === uid);
  }

  /** Adds labels, or takes those away that are null, if the pod is still this one. Resolves with false when it is not. @throws KubeError */
  async label(pod: Pick<Pod, "name" | "uid">, labels: Readonly<Record<string, string | null>>): Promise<boolean> {
    return await ifThere(async () => {
      // A uid in a patch is a precondition.
      await this.#api.patch({ path: this.#path(pod.name) }, "merge", { metadata: { uid: pod.uid, labels } });
    });
  }

  /** Deletes the pod if it is still this one. Resolves with false when it is not. @throws KubeError */
  async remove(pod: Pick<Pod, "name" | "uid">, gracePeriodSeconds: number): Promise<boolean> {
    return await ifThere(async () => {
      const options = { gracePeriodSeconds, preconditions: { uid: pod.uid } };
      await this.#api.remove({ path: this.#path(pod.name) }, options);
    });
  }

  #path(...name: readonly string[]): string {
    return pathOf("v1", this.#namespace, "pods", ...name);
  }
}

async function ifThere(act: () => Promise<void>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    if (isStatus(error, 404, 409)) return false;
    throw error;
  }
}
