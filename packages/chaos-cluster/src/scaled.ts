/**
 * Workloads that an experiment has scaled to nothing. How many pods there were is in a ConfigMap that carries the experiment's uid, made
 * before the act: the scale itself has no room for it, and more than the scale we may not change.
 */
import { type KubeApi, type KubeObject, pathOf } from "@ordermesh/kubernetes/kube-api";
import { ifThere, isStatus } from "@ordermesh/kubernetes/kube-error";
import { type Pod, UID_LABEL } from "./pods.ts";

const APPS = "apps/v1";
const KINDS = { Deployment: "deployments", StatefulSet: "statefulsets" } as const;

export type Workload = { readonly kind: keyof typeof KINDS; readonly name: string; readonly replicas: number };

export class Scaled {
  readonly #api: KubeApi;
  readonly #namespace: string;

  constructor(api: KubeApi, namespace: string) {
    this.#api = api;
    this.#namespace = namespace;
  }

  /** The workload whose scale decides whether the pod is there. @throws Error for a pod of something else */
  async workloadOf({ name, owner }: Pod): Promise<Workload> {
    if (owner?.kind === "StatefulSet") return await this.#workload("StatefulSet", owner.name);
    const set = owner?.kind === "ReplicaSet" ? await this.#get("replicasets", owner.name) : undefined;
    const deployment = set?.metadata.ownerReferences?.find(({ controller }: KubeObject) => controller === true);
    if (deployment?.kind === "Deployment") return await this.#workload("Deployment", deployment.name);
    throw new Error(`${name} is of no Deployment or StatefulSet, and could not be started again`);
  }

  /** Idempotent: what was noted first stays. @throws KubeError */
  async stop(experimentUid: string, { kind, name, replicas }: Workload): Promise<void> {
    const metadata = {
      name: `chaos-undo-${kind.toLowerCase()}-${name}-${experimentUid}`.slice(-253),
      namespace: this.#namespace,
      labels: { [UID_LABEL]: experimentUid },
    };
    const data = { kind, name, replicas: String(replicas) };
    await this.#api
      .create({ path: this.#maps() }, { apiVersion: "v1", kind: "ConfigMap", metadata, data })
      .catch((error: unknown) => {
        if (!isStatus(error, 409)) throw error;
      });
    await this.#scale({ kind, name }, 0);
  }

  /** Starts again what the experiment has stopped. Resolves with how many workloads there were. @throws KubeError */
  async startAgain(experimentUid: string): Promise<number> {
    const notes = await this.#notes(experimentUid);
    for (const note of notes) await this.#undo(note);
    return notes.length;
  }

  async count(experimentUid: string): Promise<number> {
    return (await this.#notes(experimentUid)).length;
  }

  /** Experiments that have stopped something. */
  async owners(): Promise<string[]> {
    return (await this.#notes()).map(({ metadata }) => metadata.labels[UID_LABEL]);
  }

  /** Somebody else's scale stays. */
  async #undo({ metadata, data }: KubeObject): Promise<void> {
    const scale = await ifThere(this.#api.get({ path: this.#path(data.kind, data.name, "scale") }));
    if (scale !== undefined && (scale.spec.replicas ?? 0) === 0)
      await ifThere(this.#scale(data, Number(data.replicas)));
    await ifThere(this.#api.remove({ path: this.#maps(metadata.name) }));
  }

  async #notes(experimentUid?: string): Promise<KubeObject[]> {
    const labelSelector = experimentUid === undefined ? UID_LABEL : `${UID_LABEL}=${experimentUid}`;
    const { items } = await this.#api.get({ path: this.#maps(), query: { labelSelector } });
    const uidOf = ({ metadata }: KubeObject) => metadata.labels?.[UID_LABEL];
    return items.filter((map: KubeObject) =>
      experimentUid === undefined ? uidOf(map) !== undefined : uidOf(map) === experimentUid,
    );
  }

  async #workload(kind: Workload["kind"], of: string): Promise<Workload> {
    const { metadata, spec } = await this.#get(KINDS[kind], of);
    if (metadata.ownerReferences?.length > 0) throw new Error(`an operator keeps ${of}, and would start it again`);
    return { kind, name: metadata.name, replicas: spec.replicas ?? 1 };
  }

  async #scale({ kind, name }: Pick<Workload, "kind" | "name">, replicas: number): Promise<void> {
    await this.#api.patch({ path: this.#path(kind, name, "scale") }, "merge", { spec: { replicas } });
  }

  async #get(plural: string, name: string): Promise<KubeObject> {
    return await this.#api.get({ path: pathOf(APPS, this.#namespace, plural, name) });
  }

  #path(kind: Workload["kind"], ...parts: readonly string[]): string {
    return pathOf(APPS, this.#namespace, KINDS[kind], ...parts);
  }

  #maps(...name: readonly string[]): string {
    return pathOf("v1", this.#namespace, "configmaps", ...name);
  }
}
