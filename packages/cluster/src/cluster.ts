/** The system on a kind cluster: each step looks first whether it is done already. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Progress } from "@ordermesh/local/progress";
import { CLUSTER, helm, kubectl, NAMESPACE, RELEASE, tool } from "./tools.ts";

export const KAFKA_MODES = ["strimzi", "embedded"] as const;
export const PROFILES = ["dev", "default", "ha"] as const;
/** Of the operator that is installed when there is none. */
const STRIMZI = { chart: "oci://quay.io/strimzi-helm/strimzi-kafka-operator", version: "1.2.0" };
const READY_MS = 6 * 60_000;
const POLL_MS = 2_000;

export type UpOptions = {
  readonly kafka: (typeof KAFKA_MODES)[number];
  readonly profile: (typeof PROFILES)[number];
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
export async function up({ kafka, profile, progress, say }: UpOptions): Promise<string> {
  if (!(await hasCluster()))
    await progress("Making a kind cluster", () => tool("kind", ["create", "cluster", "--config", "k8s/kind.yaml"]));
  const tag = await progress("Building the image", buildImage);
  await progress("Loading the image into the cluster", () => loadImage(tag));
  await kubectl("apply", "-f", "k8s/namespace.yaml");
  if (kafka === "strimzi") await ensureStrimzi(progress);
  await progress(`Installing the chart with profile ${profile}, Kafka ${kafka}`, () =>
    install(tag, profile, ["--set", `kafka.mode=${kafka}`]),
  );
  await progress("Waiting until everything is ready", () => untilReady(say));
  await progress("Placing an order and following it until it is shipped", () =>
    helm("test", RELEASE, "--timeout", "2m"),
  );
  return tag;
}

/** @throws Error when there is no cluster */
export async function status(): Promise<string> {
  if (!(await hasCluster())) throw new Error(`there is no kind cluster ${CLUSTER}: make up makes it`);
  return [
    await helm("list"),
    await kubectl("get", "pods", "-o", "wide"),
    await kubectl("get", "pvc,service,networkpolicy", "-o", "name"),
  ].join("\n\n");
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

export async function install(tag: string, profile: UpOptions["profile"], further: readonly string[]): Promise<void> {
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
    if (performance.now() > endsMs)
      throw new Error(`not ready after ${READY_MS / 60_000} minutes: ${waiting.join(", ")}\n${await troubles()}`);
    await sleep(POLL_MS);
  }
}

async function hasCluster(): Promise<boolean> {
  return (await tool("kind", ["get", "clusters"])).split("\n").includes(CLUSTER);
}

/** One that is there is used as it is. */
async function ensureStrimzi(progress: Progress): Promise<void> {
  if ((await kubectl("get", "crd", "kafkas.kafka.strimzi.io", "--ignore-not-found", "-o", "name")) !== "") return;
  const limits = ["--set", "watchAnyNamespace=true", "--set", "resources.limits.memory=768Mi"];
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
      "--wait",
      ...limits,
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

/** What the cluster complains about, newest last. */
function troubles(): Promise<string> {
  return kubectl(
    "get",
    "events",
    "--field-selector",
    "type=Warning",
    "--sort-by=.lastTimestamp",
    "-o",
    "custom-columns=OBJECT:.involvedObject.name,MESSAGE:.message",
  ).then(
    (text) => text.split("\n").slice(-10).join("\n"),
    () => "",
  );
}

export const URLS = [
  "shop         http://localhost:8080",
  `prometheus   kubectl --context kind-${CLUSTER} -n ${NAMESPACE} port-forward service/${RELEASE}-prometheus 9090`,
];
