/** One experiment on a cluster: made anew, and followed until it has ended. */
import { setTimeout as sleep } from "node:timers/promises";
import { PLURAL } from "@ordermesh/chaos/crd";
import { API_VERSION } from "@ordermesh/chaos/experiment";
import type { Report } from "@ordermesh/chaos/report";
import { reportMapOf } from "@ordermesh/chaos/report-files";
import type { ExperimentStatus } from "@ordermesh/chaos/status";
import { type KubeApi, type KubeObject, pathOf } from "@ordermesh/kubernetes/kube-api";
import { ifThere, isStatus, isUnavailable } from "@ordermesh/kubernetes/kube-error";

const POLL_MS = 500;
/** On top of its own deadline: for the controller to take it, to heal and to judge. */
const GRACE_MS = 120_000;
const DELETE_MS = 120_000;

export type Ended = { readonly status: ExperimentStatus; readonly report: Report | undefined };
type Place = { readonly api: KubeApi; readonly namespace: string };

/** `onStatus` hears of every change. @throws Error when it does not end, or is not taken */
export async function runOn(
  { api, namespace }: Place,
  document: KubeObject,
  onStatus: (status: ExperimentStatus) => void,
): Promise<Ended> {
  const { name } = document.metadata;
  const call = { path: pathOf(API_VERSION, namespace, PLURAL, name) };
  await remove(api, call.path);
  await api.create({ path: pathOf(API_VERSION, namespace, PLURAL), query: { fieldValidation: "Strict" } }, document);
  const endsMs = performance.now() + document.spec.deadlineSeconds * 1_000 + GRACE_MS;
  for (;;) {
    const status: ExperimentStatus | undefined = await patiently(() => api.get(call)).then((now) => now?.status);
    if (status !== undefined) onStatus(status);
    if (status?.completionTime !== undefined) return { status, report: await reportOf({ api, namespace }, name) };
    if (performance.now() > endsMs)
      throw new Error(`${name} has not ended: ${status === undefined ? "does the controller run?" : status.phase}`);
    await sleep(POLL_MS);
  }
}

/** One of that name from before; its end is waited for, as it may have something to heal. */
async function remove(api: KubeApi, path: string): Promise<void> {
  const endsMs = performance.now() + DELETE_MS;
  while (performance.now() < endsMs) {
    try {
      await api.remove({ path });
      await sleep(POLL_MS);
    } catch (error) {
      if (isStatus(error, 404)) return;
      if (!isUnavailable(error)) throw error;
    }
  }
  throw new Error(`${path} could not be deleted`);
}

async function reportOf({ api, namespace }: Place, name: string): Promise<Report | undefined> {
  const map = await ifThere(api.get({ path: pathOf("v1", namespace, "configmaps", reportMapOf(name)) }));
  return map && JSON.parse(map.data["report.json"]);
}

/** Undefined when nobody answered: asked again by the next look. */
async function patiently(ask: () => Promise<KubeObject>): Promise<KubeObject | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (isUnavailable(error)) return undefined;
    throw error;
  }
}
