/** Looks for what would make a cluster fail, before anything is made: one sentence for each problem, with the way out. */
import { totalmem } from "node:os";
import { isPortTaken } from "@ordermesh/local/part";
import { CLUSTER, STRIMZI, tool } from "./tools.ts";

/** Least versions that this was tried with or that its documents ask for; skaffold is for `make dev` only. */
const TOOLS = [
  {
    name: "docker",
    args: ["version", "--format", "{{.Client.Version}}"],
    least: [24, 0],
    from: "https://docs.docker.com/get-docker/",
  },
  {
    name: "kind",
    args: ["version"],
    least: [0, 27],
    from: "https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
  },
  { name: "kubectl", args: ["version", "--client"], least: [1, 30], from: "https://kubernetes.io/docs/tasks/tools/" },
  { name: "helm", args: ["version", "--short"], least: [3, 16], from: "https://helm.sh/docs/intro/install/" },
  { name: "skaffold", args: ["version"], least: [2, 13], from: "https://skaffold.dev/docs/install/" },
] as const;
const MIN_MEMORY_BYTES = 4 * 1024 ** 3;
/** Those that k8s/kind.yaml opens on this machine. */
const PORTS = [8080, 9090];

export type Facts = {
  /** Output of each tool when it is asked for its version; undefined when it is not there. */
  readonly versions: Readonly<Record<string, string | undefined>>;
  readonly isDockerUp: boolean;
  readonly hasCluster: boolean;
  /** False when there is a cluster of ours whose API server does not answer. */
  readonly isClusterUp: boolean;
  /** Whether Strimzi is on the cluster or its chart can be fetched; undefined when nobody asked. */
  readonly hasStrimzi: boolean | undefined;
  readonly takenPorts: readonly number[];
  readonly memoryBytes: number;
};

/** `needsStrimzi` also asks the cluster, or the registry of Strimzi's chart. */
export async function lookAround(needsStrimzi: boolean): Promise<Facts> {
  const said = (name: string, args: readonly string[]) => tool(name, args).catch(() => undefined);
  const versions: Record<string, string | undefined> = {};
  for (const { name, args } of TOOLS) versions[name] = await said(name, args);
  const isDockerUp = (await said("docker", ["info", "--format", "{{.ID}}"])) !== undefined;
  const clusters = isDockerUp ? ((await said("kind", ["get", "clusters"])) ?? "") : "";
  const hasCluster = clusters.split("\n").includes(CLUSTER);
  const ofCluster = (...args: readonly string[]) => said("kubectl", ["--context", `kind-${CLUSTER}`, ...args]);
  const isClusterUp =
    hasCluster && (await ofCluster("get", "--raw", "/readyz", "--request-timeout", "5s")) !== undefined;
  const crds = ["get", "crd", "kafkas.kafka.strimzi.io", "--ignore-not-found", "-o", "name"];
  const findStrimzi = async () =>
    (isClusterUp && ((await ofCluster(...crds)) ?? "") !== "") ||
    (await said("helm", ["show", "chart", STRIMZI.chart, "--version", STRIMZI.version])) !== undefined;
  const hasStrimzi = needsStrimzi && versions.helm !== undefined ? await findStrimzi() : undefined;
  const taken = await Promise.all(PORTS.map((port) => isPortTaken(port, "127.0.0.1")));
  return {
    versions,
    isDockerUp,
    hasCluster,
    isClusterUp,
    hasStrimzi,
    takenPorts: PORTS.filter((_, index) => taken[index]),
    memoryBytes: totalmem(),
  };
}

/** What keeps `up` or `dev` from working. Rules only. */
export function problemsOf(facts: Facts, command: "up" | "dev" = "up"): string[] {
  const { isDockerUp, hasCluster, isClusterUp, hasStrimzi, takenPorts, memoryBytes, versions } = facts;
  const problems = TOOLS.filter(({ name }) => name !== "skaffold" || command === "dev").flatMap((wanted) =>
    problemOf(wanted, versions[wanted.name]),
  );
  if (versions.docker !== undefined && !isDockerUp)
    problems.push("Docker does not answer: start it, or add yourself to the group docker and log in again.");
  if (hasCluster && !isClusterUp)
    problems.push(`The kind cluster ${CLUSTER} is there but does not answer: \`make down\` deletes it with its data.`);
  if (hasStrimzi === false)
    problems.push(
      `Strimzi is not on the cluster, and ${STRIMZI.chart} cannot be fetched: install it (k8s/README.md), or use --kafka embedded.`,
    );
  for (const port of hasCluster ? [] : takenPorts)
    problems.push(`Port ${port} is in use: stop what listens there, or change hostPort in k8s/kind.yaml.`);
  if (memoryBytes < MIN_MEMORY_BYTES)
    problems.push(`This machine has ${(memoryBytes / 1024 ** 3).toFixed(1)} GiB of memory; the cluster needs 4.`);
  return problems;
}

function problemOf({ name, least, from }: (typeof TOOLS)[number], said: string | undefined): string[] {
  const version = /v?(\d+)\.(\d+)/.exec(said ?? "");
  if (version === null) return [`${name} is missing: get it from ${from}`];
  const [major, minor] = [Number(version[1]), Number(version[2])];
  if (major > least[0] || (major === least[0] && minor >= least[1])) return [];
  return [`${name} ${major}.${minor} is too old: ${least.join(".")} or newer is needed, from ${from}`];
}
