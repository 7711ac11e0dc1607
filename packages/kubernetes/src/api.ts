/** The adapter to Kubernetes' API server: requests in one namespace, as the account of the pod that makes them. */
import {
  ApiException,
  CoreV1Api,
  CustomObjectsApi,
  DiscoveryV1Api,
  KubeConfig,
  PatchStrategy,
  setHeaderOptions,
  type V1EndpointSlice,
} from "@kubernetes/client-node";
import type { Finalized } from "./remove-finalized.ts";

const REQUEST_MS = 10_000;
const TOPICS = { group: "kafka.strimzi.io", version: "v1", plural: "kafkatopics" };
const EXPERIMENTS = { group: "chaos.ordermesh.dev", version: "v1alpha1", plural: "chaosexperiments" };

/** What a service that takes calls calls their port. */
const CALLS_PORT = "grpc";

export class KubernetesApi {
  readonly #config: KubeConfig;
  readonly #namespace: string;

  constructor(config: KubeConfig, namespace: string) {
    this.#config = config;
    this.#namespace = namespace;
  }

  /** Of the cluster that this process runs in. */
  static inCluster(namespace: string): KubernetesApi {
    const config = new KubeConfig();
    config.loadFromCluster();
    return new KubernetesApi(config, namespace);
  }

  /**
   * Addresses of pods that pass their readiness probe and are not going, by service; services that take no calls are left out.
   * @throws Error when the API server does not answer
   */
  async servingPods(release: string): Promise<ReadonlyMap<string, readonly string[]>> {
    const api = this.#config.makeApiClient(DiscoveryV1Api);
    const labelSelector = `app.kubernetes.io/instance=${release}`;
    const { items } = await within(api.listNamespacedEndpointSlice({ namespace: this.#namespace, labelSelector }));
    const taking = items.filter(({ ports }) => ports?.some(({ name }) => name === CALLS_PORT));
    const byService = Map.groupBy(taking, ({ metadata }) => metadata?.labels?.["app.kubernetes.io/component"] ?? "");
    return new Map([...byService].map(([service, slices]) => [service, slices.flatMap(servingIn)]));
  }

  /** What the release's running containers wrote since they began, by `<pod>/<container>`. */
  async logs(release: string): Promise<ReadonlyMap<string, string>> {
    const api = this.#config.makeApiClient(CoreV1Api);
    const namespace = this.#namespace;
    const fieldSelector = "status.phase=Running";
    const labelSelector = `app.kubernetes.io/instance=${release}`;
    const { items } = await within(api.listNamespacedPod({ namespace, labelSelector, fieldSelector }));
    const logs = new Map<string, string>();
    for (const { metadata: { name = "" } = {}, spec } of items)
      for (const { name: container } of spec?.containers ?? [])
        logs.set(`${name}/${container}`, await within(api.readNamespacedPodLog({ namespace, name, container })));
    return logs;
  }

  /** The KafkaTopics of a release. */
  topics(release: string): Finalized {
    return this.#finalized(TOPICS, `app.kubernetes.io/instance=${release}`);
  }

  /** All ChaosExperiments. */
  experiments(): Finalized {
    return this.#finalized(EXPERIMENTS);
  }

  #finalized(kind: typeof TOPICS, labelSelector?: string): Finalized {
    const api = this.#config.makeApiClient(CustomObjectsApi);
    const all = { ...kind, namespace: this.#namespace };
    const options = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);
    const body = { metadata: { finalizers: null } };
    return {
      names: async () => {
        const list: { items: { metadata: { name: string } }[] } | undefined = await within(
          api.listNamespacedCustomObject(labelSelector === undefined ? all : { ...all, labelSelector }),
        ).catch(ignoreGone);
        return (list?.items ?? []).map(({ metadata }) => metadata.name); // No list where the kind itself is not there.
      },
      remove: async (name) => {
        await within(api.deleteNamespacedCustomObject({ ...all, name })).catch(ignoreGone);
      },
      endFinalizers: async (name) => {
        await within(api.patchNamespacedCustomObject({ ...all, name, body }, options)).catch(ignoreGone);
      },
    };
  }
}

function ignoreGone(error: unknown): undefined {
  if (!(error instanceof ApiException && error.code === 404)) throw error;
}

/** The client has no deadline of its own, and a connection that a dead API server left open never ends. */
async function within<T>(request: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`the API server did not answer within ${REQUEST_MS} ms`)),
    REQUEST_MS,
  );
  try {
    return await Promise.race([request, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** The headless Services publish pods that are not ready, so that `ready` is always true; `serving` tells. */
function servingIn({ endpoints }: V1EndpointSlice): string[] {
  // A slice without endpoints says null.
  return (endpoints ?? [])
    .filter(({ conditions }) => conditions?.serving === true && conditions.terminating !== true)
    .flatMap(({ addresses }) => addresses);
}
