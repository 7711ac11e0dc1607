/** Renders the CustomResourceDefinition of experiments from its schemas, for kubectl and for the chart. */
import { readFileSync } from "node:fs";
import { chaosCrd } from "@ordermesh/chaos/crd";
import { stringify } from "yaml";
import { ROOT } from "./sources.ts";

const HEAD = "# Made by `make gen` from packages/chaos; a test fails when it is stale.\n";

/** What each file must hold: the chart reads no file outside of itself, so there are two of each. */
export function clusterFiles(): Readonly<Record<string, string>> {
  const crd = HEAD + stringify(chaosCrd(), { lineWidth: 0, aliasDuplicateObjects: false });
  const access = readFileSync(`${ROOT}k8s/chaos-access.yaml`, "utf8");
  return {
    "k8s/chaos-crd.yaml": crd,
    "helm/ordermesh/files/chaos-crd.yaml": crd,
    "helm/ordermesh/files/chaos-access.yaml": access,
  };
}
