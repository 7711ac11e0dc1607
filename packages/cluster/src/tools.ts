/** docker, kind, kubectl and helm: always our own cluster, whatever the current context is. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
export const CLUSTER = "ordermesh";
export const NAMESPACE = "ordermesh";
export const RELEASE = "ordermesh";
/** Of the operator that is installed when there is none. */
export const STRIMZI = { chart: "oci://quay.io/strimzi-helm/strimzi-kafka-operator", version: "1.2.0" };
const CONTEXT = `kind-${CLUSTER}`;
const MAX_OUTPUT = 64 * 1024 ** 2;

const execute = promisify(execFile);

/** What the program wrote to its output. @throws Error with the end of what it wrote to its errors */
export async function tool(command: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await execute(command, args, { cwd: ROOT, maxBuffer: MAX_OUTPUT });
    return stdout.trim();
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim().slice(-4_000) : "";
    throw new Error(`${command} ${args.join(" ")} failed:\n${said || String(error)}`, { cause: error });
  }
}

export function kubectl(...args: readonly string[]): Promise<string> {
  return tool("kubectl", ["--context", CONTEXT, "--namespace", NAMESPACE, ...args]);
}

export function helm(...args: readonly string[]): Promise<string> {
  return tool("helm", ["--kube-context", CONTEXT, "--namespace", NAMESPACE, ...args]);
}

/** Keeps `127.0.0.1:localPort` leading to a port of the cluster, also after its pod was replaced; ends with the returned function. */
export function forward(target: string, localPort: number, port: number): () => void {
  let isOver = false;
  let child: ChildProcess | undefined;
  const start = () => {
    if (isOver) return;
    const args = ["--context", CONTEXT, "--namespace", NAMESPACE, "port-forward", target, `${localPort}:${port}`];
    child = spawn("kubectl", args, { stdio: ["ignore", "ignore", "pipe"] });
    child.stderr?.on("data", () => child?.kill()); // It goes on with a pod that is gone, and only complains.
    child.on("exit", () => setTimeout(start, 500));
  };
  start();
  return () => {
    isOver = true;
    child?.kill();
  };
}
