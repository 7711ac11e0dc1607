/** The system on a kind cluster: each step looks first whether it is done already. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Progress } from "@ordermesh/local/progress";
import { hopeless, type PodFacts, troubles } from "./pods.ts";
import { CLUSTER, helm, kubectl, NAMESPACE, RELEASE, ROOT, STRIMZI, tool } from "./tools.ts";

export const KAFKA_MODES = ["strimzi", "embedded"] as const;
export const PROFILES = ["dev", "default", "ha"] as const;
/** k8s/kind.yaml leads port 8080 of this machine to it, whatever the profile. */
const SHOP_NODE_PORT = 30080;
const READY_MS = 6 * 60_000;
const POLL_MS = 2_000;
/** How long Skaffold waits for more changes after one, before it copies them; 1,000 if not given. */
const CHANGES_SETTLE_MS = 100;

export type UpOptions = {
  readonly kafka: (typeof KAFKA_MODES)[number];
  readonly profile: (typeof PROFILES)[number];
  /** Whether experiments may be run. */
  readonly chaos: boolean;
  readonly progress: Progress;
  readonly say: (line: string) => void;
};

type Workload = {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly generation: number };
  readonly spec: { readonly replicas?: number };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly updatedReplicas?: number;
    readonly readyReplicas?: number;
    readonly replicas?: number;
  };
};

/** Resolves with the tag of the image that runs. */
export async function up({ kafka, profile, chaos, progress, say }: UpOptions): Promise<string> {
  await ensureCluster(kafka, progress);
  await kubectl("label", "namespace", NAMESPACE, "--overwrite", `chaos.ordermesh.dev/enabled=${chaos}`);
  const tag = await progress("Building the image", buildImage);
  await progress("Loading the image into the cluster", () => loadImage(tag));
  await progress(`Installing the chart with profile ${profile}, Kafka ${kafka}`, () =>
    install(tag, profile, [
      "--set",
      `kafka.mode=${kafka},chaos.enabled=${chaos},chaos.failpoints=${chaos},storefront.type=NodePort,storefront.nodePort=${SHOP_NODE_PORT}`,
    ]),
  );
  await progress("Waiting until everything is ready", () => untilReady(say));
  await progress("Placing an order and following it until it is shipped", () =>
    helm("test", RELEASE, "--timeout", "2m"),
  );
  return tag;
}

/** Skaffold, until it is stopped; resolves with its exit code. */
export async function dev({ kafka, profile, progress }: UpOptions): Promise<number> {
  await ensureCluster(kafka, progress);
  const profiles = ["dev", ...(kafka === "embedded" ? ["embedded"] : []), ...(profile === "dev" ? [] : [profile])];
  const settle = `--watch-poll-interval=${CHANGES_SETTLE_MS}`;
  const args = ["dev", "--kube-context", `kind-${CLUSTER}`, "--port-forward", settle, "--profile", profiles.join(",")];
  const child = spawn("skaffold", args, { cwd: ROOT, stdio: "inherit" });
  process.on("SIGINT", () => undefined); // Skaffold gets it too, and cleans up.
  const [code] = await once(child, "exit");
  return code ?? 1;
}

/** What is there before the chart: the cluster, the namespace, and Strimzi where it is wanted. */
async function ensureCluster(kafka: UpOptions["kafka"], progress: Progress): Promise<void> {
  if (!(await hasCluster()))
    await progress("Making a kind cluster", () => tool("kind", ["create", "cluster", "--config", "k8s/kind.yaml"]));
  await assertStorage();
  await kubectl("apply", "-f", "k8s/namespace.yaml");
  if (kafka === "strimzi") await ensureStrimzi(progress);
}

/** @throws Error when there is no cluster */
export async function status(): Promise<string> {
  if (!(await hasCluster())) throw new Error(`There is no kind cluster ${CLUSTER}: make up makes it.`);
  const pods = await podFacts();
  return [
    await helm("list"),
    await kubectl("get", "pods", "-o", "wide"),
    [...hopeless(pods), ...troubles(pods)].join("\n") || "Nothing is in trouble.",
    await kubectl("get", "pvc,service,networkpolicy", "-o", "name"),
  ].join("\n\n");
}

/** What the volumes of etcd, PostgreSQL and Kafka need. @throws Error without a default StorageClass */
async function assertStorage(): Promise<void> {
  const { items } = JSON.parse(await kubectl("get", "storageclasses", "-o", "json"));
  const isDefault = ({ metadata }: { metadata: { annotations?: Record<string, string> } }) =>
    metadata.annotations?.["storageclass.kubernetes.io/is-default-class"] === "true";
  if (!items.some(isDefault))
    throw new Error(
      "The cluster has no default StorageClass: mark one with the annotation storageclass.kubernetes.io/is-default-class=true.",
    );
}

/** With everything in it. */
export async function down(): Promise<void> {
  await tool("kind", ["delete", "cluster", "--name", CLUSTER]);
}

/** The name follows from what is in it, so that a changed image is another one for Kubernetes. */
export async function buildImage(): Promise<string> {
  const revision = await tool("git", ["rev-parse", "HEAD"]).catch(() => "unknown");
  const id = await tool("docker", [
    "build",
    "--quiet",
    "--build-arg",
    `REVISION=${revision}`,
    "--tag",
    "ordermesh:dev",
    ".",
  ]);
  const tag = id.replace("sha256:", "").slice(0, 12);
  await tool("docker", ["tag", "ordermesh:dev", `ordermesh:${tag}`]);
  return tag;
}

export async function loadImage(tag: string): Promise<void> {
  await tool("kind", ["load", "docker-image", `ordermesh:${tag}`, "--name", CLUSTER]);
}

/**
 * With `--reuse-values` in `further` and profile default all stays as it was but the image.
 * @throws Error when Helm was stopped in the middle of the release, or is in the middle of it
 */
export async function install(tag: string, profile: UpOptions["profile"], further: readonly string[]): Promise<void> {
  await assertIdle();
  const values = profile === "default" ? [] : ["--values", `helm/ordermesh/profiles/${profile}.yaml`];
  await helm(
    "upgrade",
    "--install",
    RELEASE,
    "helm/ordermesh",
    ...values,
    "--set-string",
    `image.tag=${tag}`,
    ...further,
  );
}

/** Helm itself would only say that another operation is in progress, and not how to end it. */
async function assertIdle(): Promise<void> {
  const releases: { name: string; status: string }[] = JSON.parse(await helm("list", "--pending", "-o", "json"));
  const found = releases.find(({ name }) => name === RELEASE);
  if (found === undefined) return;
  const undo = found.status === "pending-install" ? "uninstall" : "rollback";
  throw new Error(
    `Helm was stopped in the middle of the release, or is still at it (${found.status}). If nobody runs it now: ` +
      `helm --kube-context kind-${CLUSTER} --namespace ${NAMESPACE} ${undo} ${RELEASE}`,
  );
}

/** Says what is not ready whenever that changes. @throws Error after six minutes */
export async function untilReady(say: (line: string) => void): Promise<void> {
  const endsMs = performance.now() + READY_MS;
  let last = "";
  for (;;) {
    const waiting = await whatWaits();
    if (waiting.length === 0) return;
    const line = `  waiting for ${waiting.join(", ")}`;
    if (line !== last) say(line);
    last = line;
    const pods = await podFacts();
    const [sentence] = hopeless(pods);
    if (sentence !== undefined) throw new Error(sentence);
    if (performance.now() > endsMs)
      throw new Error(
        [`Not ready after ${READY_MS / 60_000} minutes: ${waiting.join(", ")}`, ...troubles(pods)].join("\n"),
      );
    await sleep(POLL_MS);
  }
}

async function hasCluster(): Promise<boolean> {
  return (await tool("kind", ["get", "clusters"])).split("\n").includes(CLUSTER);
}

/** One that is there is used as it is. */
async function ensureStrimzi(progress: Progress): Promise<void> {
  if ((await kubectl("get", "crd", "kafkas.kafka.strimzi.io", "--ignore-not-found", "-o", "name")) !== "") return;
  await progress(`Installing Strimzi ${STRIMZI.version}`, () =>
    helm(
      "upgrade",
      "--install",
      "strimzi",
      STRIMZI.chart,
      "--version",
      STRIMZI.version,
      "--namespace",
      "strimzi",
      "--create-namespace",
      "--values",
      "k8s/strimzi.yaml",
      "--wait",
    ),
  );
}

async function whatWaits(): Promise<string[]> {
  const list = JSON.parse(
    await kubectl("get", "deployments,statefulsets", "-l", `app.kubernetes.io/instance=${RELEASE}`, "-o", "json"),
  );
  const waiting = (list.items as Workload[])
    .filter((workload) => !isReady(workload))
    .map(({ metadata }) => metadata.name);
  const kafkas = await kubectl(
    "get",
    "kafkas.kafka.strimzi.io",
    "--ignore-not-found",
    "-o",
    "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}",
  ).catch(() => "True");
  return kafkas.includes("True") || kafkas === "" ? waiting : [...waiting, "kafka"];
}

function isReady({ metadata, spec, status: now = {} }: Workload): boolean {
  const wanted = spec.replicas ?? 1;
  const isSeen = now.observedGeneration === metadata.generation;
  return (
    isSeen && [now.updatedReplicas ?? 0, now.readyReplicas ?? 0, now.replicas ?? 0].every((count) => count === wanted)
  );
}

async function podFacts(): Promise<readonly PodFacts[]> {
  return JSON.parse(await kubectl("get", "pods", "-o", "json")).items;
}

export const URLS = [
  "shop         http://localhost:8080",
  `prometheus   kubectl --context kind-${CLUSTER} -n ${NAMESPACE} port-forward service/${RELEASE}-prometheus 9090`,
];
