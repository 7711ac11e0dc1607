/** Looks for what would make a cluster fail, before anything is made: one sentence for each problem, with the way out. */
import { totalmem } from "node:os";
import { isPortTaken } from "@ordermesh/local/part";
import { CLUSTER, tool } from "./tools.ts";

/** Least versions that this was tried with or that its documents ask for. */
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
] as const;
const MIN_MEMORY_BYTES = 4 * 1024 ** 3;
const PORTS = [8080];

export type Facts = {
  /** Output of each tool when it is asked for its version; undefined when it is not there. */
  readonly versions: Readonly<Record<string, string | undefined>>;
  readonly isDockerUp: boolean;
  readonly hasCluster: boolean;
  readonly takenPorts: readonly number[];
  readonly memoryBytes: number;
};

export async function lookAround(): Promise<Facts> {
  const said = (name: string, args: readonly string[]) => tool(name, args).catch(() => undefined);
  const versions: Record<string, string | undefined> = {};
  for (const { name, args } of TOOLS) versions[name] = await said(name, args);
  const isDockerUp = (await said("docker", ["info", "--format", "{{.ID}}"])) !== undefined;
  const clusters = isDockerUp ? ((await said("kind", ["get", "clusters"])) ?? "") : "";
  const taken = await Promise.all(PORTS.map((port) => isPortTaken(port, "127.0.0.1")));
  return {
    versions,
    isDockerUp,
    hasCluster: clusters.split("\n").includes(CLUSTER),
    takenPorts: PORTS.filter((_, index) => taken[index]),
    memoryBytes: totalmem(),
  };
}

/** Rules only. */
export function problemsOf({ versions, isDockerUp, hasCluster, takenPorts, memoryBytes }: Facts): string[] {
  const problems: string[] = [];
  for (const { name, least, from } of TOOLS) {
    const version = /v?(\d+)\.(\d+)/.exec(versions[name] ?? "");
    const [major, minor] = [Number(version?.[1]), Number(version?.[2])];
    if (version === null) problems.push(`${name} is missing: get it from ${from}`);
    else if (major < least[0] || (major === least[0] && minor < least[1]))
      problems.push(`${name} ${major}.${minor} is too old: ${least.join(".")} or newer is needed, from ${from}`);
  }
  if (versions.docker !== undefined && !isDockerUp)
    problems.push("Docker does not answer: start it, or add yourself to the group docker and log in again.");
  if (!hasCluster)
    for (const port of takenPorts)
      problems.push(`Port ${port} is in use: stop what listens there, or change hostPort in k8s/kind.yaml.`);
  if (memoryBytes < MIN_MEMORY_BYTES)
    problems.push(`This machine has ${(memoryBytes / 1024 ** 3).toFixed(1)} GiB of memory; the cluster needs 4.`);
  return problems;
}
