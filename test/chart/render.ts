/** Renders the chart as `helm template` does, for the tests of it. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "@ordermesh/cluster/tools";
import { parse, parseAllDocuments } from "yaml";

export const CHART = join(ROOT, "helm/ordermesh");
export const has = (command: string) => spawnSync(command, ["--help"]).error === undefined;
/** For tests that need helm. */
export const skip = has("helm") ? false : "helm is not installed";
export const STRIMZI = ["--api-versions", "kafka.strimzi.io/v1"];
/** Kafka modes, as arguments. */
export const MODES: Readonly<Record<string, readonly string[]>> = {
  strimzi: STRIMZI,
  embedded: ["--set", "kafka.mode=embedded"],
  external: [
    "--set",
    "kafka.mode=external,kafka.external.brokers={kafka.example:9093},kafka.external.caSecret=kafka-ca,kafka.external.passwordSecret=kafka",
  ],
};
/** Profiles, as arguments; `parts` is none: everything that can be somebody else's is. */
export const PROFILES: Readonly<Record<string, readonly string[]>> = {
  default: [],
  dev: ["--values", join(CHART, "profiles/dev.yaml")],
  ha: ["--values", join(CHART, "profiles/ha.yaml")],
  parts: [
    "--api-versions",
    "cert-manager.io/v1,monitoring.coreos.com/v1,external.metrics.k8s.io/v1beta1",
    "--set",
    "etcd.external={https://etcd.example:2379},postgres.existingSecret=databases,otlpEndpoint=http://collector:4318,prometheus.operator=true,certificates.from=cert-manager,certificates.issuer.name=mesh,services.order.autoscaling.min=2,services.order.autoscaling.max=9,services.order.autoscaling.lag=500,storageClass=fast,image.pullSecrets={registry}",
  ],
};

export type Resource = {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: what Kubernetes has in there differs by kind.
  readonly spec?: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  readonly rules?: any;
};
type Facts = {
  readonly enabledBy?: string;
  readonly grpc?: boolean;
  readonly world?: number;
  readonly calledBy: readonly string[];
  readonly database?: boolean;
  readonly kafka?: {
    readonly groups: readonly string[];
    readonly reads: readonly string[];
    readonly writes: readonly string[];
  };
  readonly kubernetes?: readonly { readonly resources: readonly string[]; readonly verbs: readonly string[] }[];
};
/** The chart's table of calls, with what has to be enabled. */
export const WHOLE_TABLE: Readonly<Record<string, Facts>> = parse(
  readFileSync(join(CHART, "files/services.yaml"), "utf8"),
);
/** What is there unless values say otherwise. */
export const TABLE = Object.fromEntries(
  Object.entries(WHOLE_TABLE).filter(([, { enabledBy }]) => enabledBy === undefined),
);
export const CHAOS = ["--set", "chaos.enabled=true,chaos.failpoints=true"];

export function renderText(...args: readonly string[]): string {
  return execFileSync("helm", ["template", "shop", CHART, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

export function render(...args: readonly string[]): Resource[] {
  return parseAllDocuments(renderText(...args))
    .map((document) => document.toJS())
    .filter((resource) => resource !== null);
}

/** What helm says when it refuses. */
export function refusal(...args: readonly string[]): string {
  const { status, stderr } = spawnSync("helm", ["template", "shop", CHART, ...args], { encoding: "utf8" });
  assert.notEqual(status, 0, `${args.join(" ")} was taken`);
  return stderr;
}

/** Every pod that the resources make. */
export const podsOf = (resources: readonly Resource[]) =>
  resources.flatMap(({ kind, metadata, spec }) =>
    ["Deployment", "StatefulSet", "Job"].includes(kind)
      ? [{ name: metadata.name, labels: spec.template.metadata.labels, pod: spec.template.spec }]
      : kind === "Pod"
        ? [{ name: metadata.name, labels: metadata.labels ?? {}, pod: spec }]
        : [],
  );
