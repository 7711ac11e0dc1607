/** Experiments in the API server: read, stored and ended with the version that was read as precondition. */
import { type Experiment, StaleStatusError, type Store } from "@ordermesh/chaos/backend";
import { PLURAL } from "@ordermesh/chaos/crd";
import { API_VERSION, checkSpec } from "@ordermesh/chaos/experiment";
import type { ExperimentStatus } from "@ordermesh/chaos/status";
import { type Call, type KubeApi, type KubeObject, pathOf } from "@ordermesh/kubernetes/kube-api";
import { ifThere, isStatus } from "@ordermesh/kubernetes/kube-error";

export const FINALIZER = "chaos.ordermesh.dev/heal";

/** An object that the API server took and our own schema does not: its CRD is another one. */
export class InvalidExperimentError extends Error {
  override readonly name = "InvalidExperimentError";
}

export class Experiments {
  readonly #api: KubeApi;
  readonly #namespace: string;

  constructor(api: KubeApi, namespace: string) {
    this.#api = api;
    this.#namespace = namespace;
  }

  get path(): string {
    return pathOf(API_VERSION, this.#namespace, PLURAL);
  }

  /** Undefined when it is gone. @throws KubeError */
  async get(name: string): Promise<KubeObject | undefined> {
    return await ifThere(this.#api.get(this.#call(name)));
  }

  /** With our finalizer, and whatever others are there. @throws KubeError also when it was changed meanwhile */
  async addFinalizer(object: KubeObject): Promise<KubeObject> {
    const finalizers = [...(object.metadata.finalizers ?? []), FINALIZER];
    return await this.#patchFinalizers(object, finalizers);
  }

  /** Without our finalizer; the others stay. @throws KubeError also when it was changed meanwhile */
  async dropFinalizer(object: KubeObject): Promise<void> {
    const finalizers = (object.metadata.finalizers ?? []).filter((one: string) => one !== FINALIZER);
    await ifThere(this.#patchFinalizers(object, finalizers));
  }

  /** @throws KubeError */
  async remove({ metadata: { name, uid } }: KubeObject): Promise<void> {
    await this.#api.remove(this.#call(name), { preconditions: { uid } }).catch((error: unknown) => {
      if (!isStatus(error, 404, 409)) throw error;
    });
  }

  /** The store of one visit, which begins with the object that was read. `onSaved` hears of each status that was stored. */
  storeOf(
    object: KubeObject,
    onSaved: (status: ExperimentStatus, before: ExperimentStatus | undefined) => void,
  ): Store {
    let known = object;
    return {
      load: async () => {
        const now = await this.get(object.metadata.name);
        return now?.metadata.uid === object.metadata.uid ? now?.status : undefined;
      },
      save: async (status) => {
        // Whole, as a merge patch would drop the nulls inside of lists.
        const next = await this.#api
          .replace(this.#call(object.metadata.name, "status"), { ...known, status })
          .catch((error: unknown) => {
            if (isStatus(error, 404, 409))
              throw new StaleStatusError("the experiment was changed meanwhile", { cause: error });
            throw error;
          });
        const before = known.status;
        known = next;
        onSaved(status, before);
      },
    };
  }

  async #patchFinalizers({ metadata }: KubeObject, finalizers: readonly string[]): Promise<KubeObject> {
    const { name, uid, resourceVersion } = metadata;
    return await this.#api.patch(this.#call(name), "merge", { metadata: { uid, resourceVersion, finalizers } });
  }

  #call(...parts: readonly string[]): Call {
    return { path: pathOf(API_VERSION, this.#namespace, PLURAL, ...parts) };
  }
}

/** Pure. @throws InvalidExperimentError */
export function experimentOf({ metadata, spec, status }: KubeObject): Experiment {
  const checked = checkSpec(spec);
  if ("violations" in checked)
    throw new InvalidExperimentError(
      checked.violations.map(({ field, message }) => `spec.${field}: ${message}`).join("; "),
    );
  return {
    name: metadata.name,
    namespace: metadata.namespace,
    uid: metadata.uid,
    generation: metadata.generation,
    createdAtMs: Date.parse(metadata.creationTimestamp),
    isBeingDeleted: metadata.deletionTimestamp !== undefined,
    spec: checked.spec,
    status,
  };
}

/** Pure. */
export function isOver({ status }: KubeObject): boolean {
  return status?.phase === "Completed" || status?.phase === "Aborted";
}

/** Whether it has come further than to wait. Pure. */
export function isActive(object: KubeObject): boolean {
  return object.status?.phase !== undefined && object.status.phase !== "Pending" && !isOver(object);
}

export function hasFinalizer({ metadata }: KubeObject): boolean {
  return metadata.finalizers?.includes(FINALIZER) ?? false;
}
