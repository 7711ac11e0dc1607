/** The chart without a cluster: every profile with every Kafka, and its one table against the code. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "@ordermesh/cluster/tools";
import { parse } from "yaml";
import { toMib } from "../cluster/quantity.ts";
import {
  CHAOS,
  CHART,
  has,
  MODES,
  PROFILES,
  podsOf,
  type Resource,
  render,
  renderText,
  STRIMZI,
  skip,
  TABLE,
  WHOLE_TABLE,
} from "./render.ts";

/** Pods that are no service and talk to the API server. */
const WITH_TOKEN = ["shop-test-order", "shop-uninstall"];
const ofServices = (resources: readonly Resource[]) =>
  podsOf(resources).filter(({ name }) => name.replace("shop-", "") in WHOLE_TABLE);
const kubeconform = () => {
  if (!has("kubeconform")) return "kubeconform is not installed";
  const probe = spawnSync("kubeconform", ["-strict", "-"], {
    input: "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n",
  });
  return probe.status === 0 ? false : "kubeconform has no schemas: it cannot fetch them here";
};

for (const [profile, values] of Object.entries({ ...PROFILES, chaos: CHAOS }))
  for (const [mode, kafka] of Object.entries(MODES))
    test(`profile ${profile} with Kafka ${mode}: each object once, every pod restricted, bounded and without a token it does not need`, {
      skip,
    }, () => {
      const resources = render(...values, ...kafka);
      const names = resources.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
      assert.deepEqual(
        names.filter((name, index) => names.indexOf(name) !== index),
        [],
      );
      for (const { name, pod } of podsOf(resources)) {
        const needsToken =
          WHOLE_TABLE[name.replace("shop-", "")]?.kubernetes !== undefined || WITH_TOKEN.includes(name);
        assert.equal(pod.automountServiceAccountToken, needsToken, name);
        assert.equal(pod.securityContext.runAsNonRoot, true, name);
        assert.equal(pod.securityContext.seccompProfile.type, "RuntimeDefault", name);
        for (const container of pod.containers) {
          assert.deepEqual(
            container.securityContext,
            { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
            name,
          );
          assert.ok(
            container.resources.requests.memory && container.resources.limits.memory,
            `${name} has no memory bounds`,
          );
          assert.doesNotMatch(container.image, /:latest$|^[^:]+$/, name);
        }
      }
      const services = Object.keys(profile === "chaos" ? WHOLE_TABLE : TABLE);
      const restarting = ofServices(resources);
      assert.equal(restarting.length, services.length);
      for (const { name, pod } of restarting)
        assert.ok(pod.terminationGracePeriodSeconds >= 3 + 2 + 15 + 3, `${name} is killed while it drains`);
    });

test("helm finds nothing to complain about", { skip }, () => {
  execFileSync("helm", ["lint", "--strict", CHART, "--set", "kafka.mode=embedded"], { stdio: "pipe" });
});

test("every profile with every Kafka is valid for kubeconform", { skip: skip || kubeconform() }, () => {
  for (const values of Object.values(PROFILES))
    for (const kafka of Object.values(MODES))
      execFileSync("kubeconform", ["-strict", "-ignore-missing-schemas", "-"], {
        input: renderText(...values, ...kafka),
        stdio: ["pipe", "pipe", "pipe"],
      });
});

test("a tag that is longer than a label may be, as a digest is, makes labels that may be", { skip }, () => {
  for (const { kind, metadata } of render(...STRIMZI, "--set-string", `image.tag=${"0f".repeat(31)}-a`))
    for (const value of Object.values((metadata.labels ?? {}) as Record<string, string>))
      assert.match(value, /^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/, `${kind} ${metadata.name}`);
});

test("a service may have an image of its own, and none of the others has it", { skip }, () => {
  const own = "services.order.repository=ordermesh-order,services.order.tag=edited";
  const images = ofServices(render(...STRIMZI, "--set", own)).map(({ pod }) => pod.containers[0].image as string);
  assert.deepEqual([...new Set(images)].sort(), ["ordermesh-order:edited", "ordermesh:dev"]);
});

test("only in development a container that does not answer is left, as a new one would be without the copied changes", {
  skip,
}, () => {
  for (const development of [false, true]) {
    for (const { name, pod } of ofServices(render(...STRIMZI, "--set", `development=${development}`)))
      assert.equal(pod.containers[0].livenessProbe === undefined, development, name);
  }
});

test("skaffold dev copies a change of a service into its image: of its own, or the common one, which the auditor always runs", () => {
  const { profiles } = parse(readFileSync(join(ROOT, "skaffold.yaml"), "utf8"), { merge: true });
  const { build, patches } = profiles.find(({ name }: { name: string }) => name === "dev");
  type Artifact = {
    readonly image: string;
    readonly custom: { dependencies: { paths: string[] } };
    readonly sync?: unknown;
  };
  const { value } = patches.find(({ path }: { path: string }) => path.endsWith("/setValueTemplates"));
  for (const service of Object.keys(WHOLE_TABLE)) {
    const own = (build.artifacts as Artifact[]).filter(({ custom }) =>
      custom.dependencies.paths.includes(`services/${service}`),
    );
    const isCommon = service === "auditor" || service === "chaos";
    assert.deepEqual(
      own.map(({ image }) => image),
      [isCommon ? "ordermesh" : `ordermesh-${service}`],
    );
    assert.ok(
      own.every(({ sync }) => sync),
      service,
    );
    for (const [field, variable] of [
      ["repository", "IMAGE_REPO"],
      ["tag", "IMAGE_TAG"],
    ])
      assert.equal(
        value[`services.${service}.${field}`],
        isCommon ? undefined : `{{.${variable}_ordermesh_${service}}}`,
      );
  }
});

test("rights in the cluster are these and no others", { skip }, () => {
  const roles = render(...STRIMZI).filter(({ kind }) => /Role$/.test(kind));
  assert.deepEqual(
    roles.map(({ kind, metadata, rules }) => `${kind} ${metadata.name} ${rules[0].resources} ${rules[0].verbs}`).sort(),
    [
      "Role shop-auditor endpointslices list",
      "Role shop-test pods,pods/log get,list",
      "Role shop-uninstall kafkatopics list,delete,patch",
    ],
  );
  assert.ok(roles.every(({ rules }) => rules.length === 1));
});

test("experiments' rights are of one namespace, without Secrets, exec or more of the services' workloads than their scale", {
  skip,
}, () => {
  const resources = render(...STRIMZI, ...CHAOS);
  const [role, ...others] = resources.filter(
    ({ kind, metadata }) => /Role$/.test(kind) && metadata.name === "shop-chaos",
  );
  assert.deepEqual([role?.kind, others], ["Role", []]);
  const rights: { resources: string[]; verbs: string[] }[] = role?.rules;
  const may = (verb: string) => rights.flatMap((rule) => (rule.verbs.includes(verb) ? rule.resources : [])).sort();
  assert.equal(
    rights.some(({ resources: what, verbs }) => what.includes("*") || verbs.includes("*")),
    false,
  );
  assert.deepEqual(may("delete"), ["chaosexperiments", "configmaps", "pods"]);
  const clearing = resources.filter(({ kind, metadata }) => kind === "Role" && metadata.name === "shop-uninstall");
  assert.deepEqual(
    clearing.flatMap(({ rules }) => rules.map((rule: { resources: string[] }) => `${rule.resources}`)),
    ["kafkatopics", "chaosexperiments"],
  );
  assert.deepEqual(may("create"), ["configmaps", "events", "leases"]);
  assert.deepEqual(may("patch"), ["chaosexperiments", "deployments/scale", "pods", "statefulsets/scale"]);
  assert.doesNotMatch(JSON.stringify(rights), /secrets|exec|ephemeral|nodes/);
  const cluster = resources.filter(
    ({ kind, metadata }) => kind === "ClusterRole" && metadata.name.startsWith("chaos-"),
  );
  assert.deepEqual(cluster.map(({ metadata }) => metadata.name).sort(), ["chaos-runner", "chaos-viewer"]);
});

test("the resource definition comes with the release and stays when it goes; others may bring it", { skip }, () => {
  const kinds = (...args: readonly string[]) => render(...STRIMZI, ...CHAOS, ...args).map(({ kind }) => kind);
  const crd = render(...STRIMZI, ...CHAOS).find(({ kind }) => kind === "CustomResourceDefinition");
  assert.equal(crd?.metadata.annotations?.["helm.sh/resource-policy"], "keep");
  assert.equal(kinds().includes("ValidatingAdmissionPolicy"), true);
  const without = kinds("--set", "chaos.definitions=false", "--api-versions", "chaos.ordermesh.dev/v1alpha1");
  assert.doesNotMatch(without.join(), /CustomResourceDefinition|AdmissionPolicy|ClusterRole/);
});

test("services crash at points and stand still only where that is asked for", { skip }, () => {
  const environments = (...args: readonly string[]) =>
    podsOf(render(...STRIMZI, ...args)).flatMap(({ name, pod }) =>
      pod.containers[0].env?.some((one: { name: string; value?: string }) => one.name === "MESH_ENVIRONMENT")
        ? [name]
        : [],
    );
  assert.deepEqual(environments(), []);
  assert.deepEqual(environments("--set", "chaos.enabled=true"), []);
  assert.deepEqual(
    environments(...CHAOS).sort(),
    Object.keys(TABLE)
      .map((service) => `shop-${service}`)
      .sort(),
  );
});

test("an autoscaler has the number of replicas to itself, and scales on unread events too", { skip }, () => {
  const resources = render(...(PROFILES.parts ?? []), ...STRIMZI);
  const named = (wanted: string) =>
    resources.find(({ kind, metadata }) => kind === wanted && metadata.name === "shop-order")?.spec;
  assert.equal("replicas" in named("Deployment"), false);
  const { minReplicas, maxReplicas, metrics } = named("HorizontalPodAutoscaler");
  assert.deepEqual([minReplicas, maxReplicas], [2, 9]);
  assert.deepEqual(metrics[1].external, {
    metric: { name: "kafka_consumergroup_lag", selector: { matchLabels: { consumergroup: "order" } } },
    target: { type: "AverageValue", averageValue: "500" },
  });
});

test("volumes take the class that is asked for, Kafka's too", { skip }, () => {
  const resources = render("--set", "storageClass=fast", ...STRIMZI);
  const classes = resources.flatMap(({ kind, spec }) =>
    kind === "StatefulSet"
      ? [spec.volumeClaimTemplates[0].spec.storageClassName]
      : kind === "KafkaNodePool"
        ? [spec.storage.volumes[0].class]
        : [],
  );
  assert.deepEqual(classes, ["fast", "fast", "fast"]);
});

test("every value is used, and there are not more than 150 lines of them", () => {
  const text = readFileSync(join(CHART, "values.yaml"), "utf8");
  assert.ok(text.trimEnd().split("\n").length <= 150);
  const templates = readdirSync(join(CHART, "templates"), { recursive: true, encoding: "utf8" })
    .filter((file) => /\.(yaml|tpl|txt)$/.test(file))
    .map((file) => readFileSync(join(CHART, "templates", file), "utf8"))
    .join("\n");
  const unused = [...text.matchAll(/^ *([a-zA-Z]+):/gm)]
    .map(([, key = ""]) => key)
    .filter((key) => !["requests", "limits", ...Object.keys(WHOLE_TABLE)].includes(key))
    .filter((key) => !new RegExp(`\\.${key}\\b`).test(templates));
  assert.deepEqual(unused, []);
});

test("the memory of profile dev sums up to 2.5 GiB at most, Kafka and its operators of topics and users included", {
  skip,
}, (t) => {
  const resources = render(...(PROFILES.dev ?? []), ...STRIMZI);
  const pods = podsOf(resources).filter(({ name }) => !/test|topics|uninstall/.test(name));
  const own = pods.reduce((sum, { pod }) => sum + toMib(pod.containers[0].resources.requests.memory), 0);
  const pool = resources.find(({ kind }) => kind === "KafkaNodePool")?.spec;
  const { topicOperator, userOperator } = resources.find(({ kind }) => kind === "Kafka")?.spec.entityOperator ?? {};
  const kafka = [pool, topicOperator, userOperator].reduce(
    (sum, { resources: { requests } }) => sum + toMib(requests.memory),
    0,
  );
  t.diagnostic(`${own} MiB of ours and ${kafka} MiB of Kafka`);
  assert.ok(own + kafka <= 2_560, `${own + kafka} MiB`);
});

test("the table of calls is what the code allows and needs", () => {
  for (const [service, { calledBy, database, kafka }] of Object.entries(WHOLE_TABLE)) {
    const folder = join(ROOT, "services", service, "src");
    const text = readdirSync(folder)
      .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
      .map((file) => readFileSync(join(folder, file), "utf8"))
      .join("\n");
    const allowed = new Set(
      [...(/const CALLERS = \{([^}]*)\}/.exec(text)?.[1]?.matchAll(/"([a-z]+)"/g) ?? [])].map(([, name]) => name),
    );
    assert.deepEqual([...allowed].sort(), [...calledBy].sort(), `${service} is called by`);
    assert.equal(text.includes("postgresUrl"), database === true, `${service} has a database`);
    assert.equal(text.includes("kafkaAccess("), kafka !== undefined, `${service} has events`);
    for (const called of Object.keys(TABLE))
      assert.equal(
        new RegExp(`mesh\\.client\\([^)]*"${called}"`).test(text),
        TABLE[called]?.calledBy.includes(service) ?? false,
        `${service} calls ${called}`,
      );
  }
});
