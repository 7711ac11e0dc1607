/** A real API server with the experiments' CRD and policy; which one, CHAOS_API_CONTEXT names: a context of the kubeconfig. */

import { PLURAL } from "@ordermesh/chaos/crd";
import { API_VERSION } from "@ordermesh/chaos/experiment";
import { tool } from "@ordermesh/cluster/tools";
import { type Call, type KubeApi, type KubeObject, pathOf } from "@ordermesh/kubernetes/kube-api";
import { connectKube } from "@ordermesh/kubernetes/kube-config";
import { isStatus, type KubeError } from "@ordermesh/kubernetes/kube-error";
import { goodDocument } from "./bad-documents.ts";

export const CONTEXT = process.env.CHAOS_API_CONTEXT;
export const OPEN = "chaos-api-open";
export const CLOSED = "chaos-api-closed";
/** For `test(name, SKIP, …)`: says why nothing ran. */
export const SKIP = { skip: CONTEXT === undefined ? "CHAOS_API_CONTEXT names no cluster" : false };

/** Never used by a test that is skipped. */
export const api: KubeApi = CONTEXT === undefined ? (undefined as never) : connectKube(CONTEXT);

export function kubectl(...args: readonly string[]): Promise<string> {
  return tool("kubectl", ["--context", CONTEXT ?? "", ...args]);
}

export async function prepare(): Promise<void> {
  await kubectl("apply", "-f", "k8s/chaos-crd.yaml", "-f", "k8s/chaos-access.yaml");
  await kubectl("wait", "--for=condition=Established", `crd/${PLURAL}.chaos.ordermesh.dev`, "--timeout=30s");
  for (const namespace of [OPEN, CLOSED]) await kubectl("create", "namespace", namespace).catch(() => undefined);
  await kubectl("label", "--overwrite", "namespace", OPEN, "chaos.ordermesh.dev/enabled=true");
  await kubectl("delete", PLURAL, "--all", "-n", OPEN);
  await untilRefused();
}

/** A policy binds a moment after it was applied. */
async function untilRefused(): Promise<void> {
  for (let tries = 0; tries < 60; tries += 1) {
    const answer = await create(goodDocument(), CLOSED);
    if (answer?.status === 403) return;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error("the admission policy does not bind");
}

export const callOf = (namespace: string, ...parts: readonly string[]): Call => ({
  path: pathOf(API_VERSION, namespace, PLURAL, ...parts),
});

/** Why the API server refuses to create it, nothing being stored; undefined when it would. */
export async function create(document: object, namespace = OPEN): Promise<KubeError | undefined> {
  const query = { dryRun: "All", fieldValidation: "Strict" };
  return await refusal(api.create({ ...callOf(namespace), query }, document));
}

/** Why a stored experiment cannot be changed so; undefined when it was. */
export async function change(name: string, patch: object, dryRun?: "All"): Promise<KubeError | undefined> {
  return await refusal(api.patch({ ...callOf(OPEN, name), query: { dryRun } }, "merge", patch));
}

export async function refusal(asked: Promise<KubeObject>): Promise<KubeError | undefined> {
  try {
    await asked;
    return undefined;
  } catch (error) {
    if (isStatus(error, 400, 403, 404, 409, 422, 500)) return error;
    throw error;
  }
}
