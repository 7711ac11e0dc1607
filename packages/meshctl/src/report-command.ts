/** `meshctl chaos report`: the report that the controller keeps in a ConfigMap. Loaded only here, as it brings the client of Kubernetes. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { REPORT_FILES, reportMapOf } from "@ordermesh/chaos/report-files";
import { type KubeApi, pathOf } from "@ordermesh/kubernetes/kube-api";
import { connectKube, currentContext } from "@ordermesh/kubernetes/kube-config";
import { ifThere } from "@ordermesh/kubernetes/kube-error";
import { EXIT } from "./context.ts";

type Options = {
  readonly name: string;
  readonly namespace: string;
  readonly context?: string | undefined;
  readonly dir?: string | undefined;
};

/** Resolves with the exit code: 1 when there is no such report. @throws Error when the cluster does not answer */
export async function showReport(options: Options, write: (text: string) => void): Promise<number> {
  const context = options.context ?? currentContext();
  if (context === undefined) throw new Error("no cluster: name a context of the kubeconfig with --context");
  const files = await readReport(connectKube(context), options);
  if (files === undefined) {
    write(`there is no report of ${options.name} in namespace ${options.namespace}: has it ended?\n`);
    return EXIT.no;
  }
  const { dir } = options;
  if (dir === undefined) write(files["report.json"] ?? "");
  else {
    mkdirSync(dir, { recursive: true });
    for (const [file, text] of Object.entries(files)) {
      writeFileSync(join(dir, file), text);
      write(`${join(dir, file)}\n`);
    }
  }
  return EXIT.ok;
}

/** Files by name; undefined when there is none. @throws KubeError */
export async function readReport(
  api: KubeApi,
  { name, namespace }: Pick<Options, "name" | "namespace">,
): Promise<Readonly<Record<string, string>> | undefined> {
  const map = await ifThere(api.get({ path: pathOf("v1", namespace, "configmaps", reportMapOf(name)) }));
  if (map === undefined) return undefined;
  const { data = {} } = map;
  return Object.fromEntries(REPORT_FILES.flatMap((file) => (data[file] === undefined ? [] : [[file, data[file]]])));
}
