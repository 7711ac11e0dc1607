/** Where the API server is and who we are: a pod's service account, or a developer's kubeconfig. */
import type { RequestOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import { type KubeApi, newKubeApi } from "./kube-api.ts";

const TIMEOUT_MS = 10_000;

/** The context that kubectl would use; undefined when there is none. */
export function currentContext(): string | undefined {
  const config = new KubeConfig();
  config.loadFromDefault();
  return config.getContexts().length === 0 ? undefined : config.getCurrentContext() || undefined;
}

/** @param context of the kubeconfig; undefined inside of a cluster. @throws Error when there is no such context or service account */
export function connectKube(context: string | undefined): KubeApi {
  const config = new KubeConfig();
  if (context === undefined) config.loadFromCluster();
  else {
    config.loadFromDefault();
    if (config.getContextObject(context) === null) throw new Error(`the kubeconfig has no context ${context}`);
    config.setCurrentContext(context);
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error("there is no cluster in this configuration");
  const authorize = (options: RequestOptions) => config.applyToHTTPSOptions(options);
  return newKubeApi({ server: cluster.server, authorize }, TIMEOUT_MS);
}
