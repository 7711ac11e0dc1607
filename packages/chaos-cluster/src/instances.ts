/** Which pods are instances. */
import type { Instance } from "@ordermesh/chaos/instances";
import type { Pods } from "./pods.ts";

/** Pods of the release that have an admin server. */
export async function instancesOf(pods: Pods, release: Readonly<Record<string, string>>): Promise<Instance[]> {
  return (await pods.list(release)).flatMap(({ name, adminUrl, isTerminating }) =>
    adminUrl === undefined || isTerminating ? [] : [{ name, adminUrl }],
  );
}
