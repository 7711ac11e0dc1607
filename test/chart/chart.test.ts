/** The chart without a cluster: every profile with every Kafka, wrong values, and its one table against the code. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "@ordermesh/cluster/tools";
import { parse, parseAllDocuments } from "yaml";

const CHART = join(ROOT, "helm/ordermesh");
const has = (command: string) => spawnSync(command, ["--help"]).error === undefined;
const skip = has("helm") ? false : "helm is not installed";
const STRIMZI = ["--api-versions", "kafka.strimzi.io/v1"];
const MODES: Readonly<Record<string, readonly string[]>> = {
  strimzi: STRIMZI,
  embedded: ["--set", "kafka.mode=embedded"],
  external: [
    "--set",
    "kafka.mode=external,kafka.external.brokers={kafka.example:9093},kafka.external.caSecret=kafka-ca,kafka.external.passwordSecret=kafka",
  ],
};
const PROFILES: Readonly<Record<string, readonly string[]>> = {
  default: [],
  dev: ["--values", join(CHART, "profiles/dev.yaml")],
  ha: ["--values", join(CHART, "profiles/ha.yaml")],
  parts: [
    "--set",
    "etcd.external={https://etcd.example:2379},postgres.existingSecret=databases,otlpEndpoint=http://collector:4318,prometheus.operator=true,certificates.from=cert-manager,certificates.issuer.name=mesh,services.order.autoscaling.min=2,services.order.autoscaling.max=9",
  ],
};

type Resource = {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  // biome-ignore lint/suspicious/noExplicitAny: what Kubernetes has in there differs by kind.
  readonly spec?: any;
};
type Facts = {
  readonly port?: number;
  readonly calledBy: readonly string[];
  readonly database?: boolean;
  readonly kafka?: { readonly group: string; readonly reads: readonly string[]; readonly writes: readonly string[] };
};
const TABLE: Readonly<Record<string, Facts>> = parse(readFileSync(join(CHART, "files/services.yaml"), "utf8"));

function render(...args: readonly string[]): Resource[] {
  const text = execFileSync("helm", ["template", "shop", CHART, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  return parseAllDocuments(text)
    .map((document) => document.toJS())
    .filter((resource) => resource !== null);
}

function refusal(...args: readonly string[]): string {
  const { status, stderr } = spawnSync("helm", ["template", "shop", CHART, ...args], { encoding: "utf8" });
  assert.notEqual(status, 0, `${args.join(" ")} was taken`);
  return stderr;
}

const podsOf = (resources: readonly Resource[]) =>
  resources.flatMap(({ kind, metadata, spec }) =>
    ["Deployment", "StatefulSet", "Job"].includes(kind)
      ? [{ name: metadata.name, pod: spec.template.spec }]
      : kind === "Pod"
        ? [{ name: metadata.name, pod: spec }]
        : [],
  );

for (const [profile, values] of Object.entries(PROFILES))
  for (const [mode, kafka] of Object.entries(MODES))
    test(`profile ${profile} with Kafka ${mode}: each object once, every pod restricted, bounded and without a token`, {
      skip,
    }, () => {
      const resources = render(...values, ...kafka);
      const names = resources.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
      assert.deepEqual(
        names.filter((name, index) => names.indexOf(name) !== index),
        [],
      );
      for (const { name, pod } of podsOf(resources)) {
        assert.equal(pod.automountServiceAccountToken, false, name);
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
      const restarting = podsOf(resources).filter(({ name }) =>
        Object.keys(TABLE).some((service) => name === `shop-${service}`),
      );
      assert.equal(restarting.length, 6);
      for (const { name, pod } of restarting)
        assert.ok(pod.terminationGracePeriodSeconds >= 3 + 2 + 15 + 3, `${name} is killed while it drains`);
    });

test("the memory of profile dev sums up to 2.5 GiB at most, Kafka and its operators of topics and users included", {
  skip,
}, (t) => {
  const resources = render(...(PROFILES.dev ?? []), ...STRIMZI);
  const mebibytes = (quantity: string) =>
    quantity.endsWith("Gi") ? 1024 * Number.parseInt(quantity, 10) : Number.parseInt(quantity, 10);
  const pods = podsOf(resources).filter(({ name }) => !name.includes("test") && !name.includes("topics"));
  const own = pods.reduce((sum, { pod }) => sum + mebibytes(pod.containers[0].resources.requests.memory), 0);
  const pool = resources.find(({ kind }) => kind === "KafkaNodePool")?.spec;
  const { topicOperator, userOperator } = resources.find(({ kind }) => kind === "Kafka")?.spec.entityOperator ?? {};
  const kafka = [pool, topicOperator, userOperator].reduce(
    (sum, { resources: { requests } }) => sum + mebibytes(requests.memory),
    0,
  );
  t.diagnostic(`${own} MiB of ours and ${kafka} MiB of Kafka`);
  assert.ok(own + kafka <= 2_560, `${own + kafka} MiB`);
});

for (const [set, field] of [
  ["kafka.mode=nats", "/kafka/mode"],
  ["kafka.replicas=0", "/kafka/replicas"],
  ["kafka.heap=lots", "/kafka/heap"],
  ["kafka.mode=external", "/kafka/external/brokers"],
  ["kafka.external.brokers={kafka}", "/kafka/external/brokers/0"],
  ["etcd.replicas=2", "/etcd/replicas"],
  ["etcd.external={etcd:2379}", "/etcd/external/0"],
  ["etcd.storage=big", "/etcd/storage"],
  ["postgres.storage=", "/postgres/storage"],
  ["services.order.replica=2", "/services/order"],
  ["services.order.replicas=-1", "/services/order/replicas"],
  ["services.orders.replicas=1", "/services"],
  ["services.order.env.PATH=x", "PATH"],
  ["services.order.autoscaling.min=2", "/services/order/autoscaling"],
  ["services.order.resources.limits.memory=much", "/services/order/resources/limits/memory"],
  ["storefront.type=Public", "/storefront/type"],
  ["storefront.nodePort=80", "/storefront/nodePort"],
  ["image.tag=a b", "/image/tag"],
  ["image.pullPolicy=Sometimes", "/image/pullPolicy"],
  ["logLevel=loud", "/logLevel"],
  ["certificates.from=letsencrypt", "/certificates/from"],
  ["certificates.days=0", "/certificates/days"],
  ["otlpEndpoint=collector", "/otlpEndpoint"],
  ["prometheus.enable=true", "/prometheus"],
] as const)
  test(`${set} is refused by name`, { skip }, () => {
    assert.ok(refusal("--set", set).includes(`'${field}'`), refusal("--set", set));
  });

test("a cluster without Strimzi is told what to do", { skip }, () => {
  assert.match(
    refusal(),
    /does not know kafka\.strimzi\.io\/v1: install Strimzi .* or set kafka\.mode to embedded or external/,
  );
});

test("cert-manager needs an issuer", { skip }, () => {
  assert.match(refusal("--set", "certificates.from=cert-manager", ...STRIMZI), /certificates\.issuer\.name/);
});

test("the table of calls is what the code allows and needs", () => {
  for (const [service, { calledBy, database, kafka }] of Object.entries(TABLE)) {
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
    assert.equal(text.includes("new KafkaBus"), kafka !== undefined, `${service} has events`);
    for (const called of Object.keys(TABLE))
      assert.equal(
        new RegExp(`mesh\\.client\\([^)]*"${called}"`).test(text),
        TABLE[called]?.calledBy.includes(service) ?? false,
        `${service} calls ${called}`,
      );
  }
});

test("alerts fire when they should, and not else", {
  skip: has("promtool") ? false : "promtool is not installed",
}, () => {
  execFileSync("promtool", ["test", "rules", join(CHART, "files/rules.test.yaml")], { stdio: "pipe" });
});

test("rules and dashboards ask for metrics that exist", () => {
  const known = new Set(
    [...readFileSync(join(ROOT, "docs/telemetry.md"), "utf8").matchAll(/^\| `([a-z_]+)`/gm)].map(
      ([, name = ""]) => name,
    ),
  );
  const rules: { groups: { rules: { expr: string; record?: string }[] }[] } = parse(
    readFileSync(join(CHART, "files/rules.yaml"), "utf8"),
  );
  const dashboard: { panels: { targets: { expr: string }[] }[] } = JSON.parse(
    readFileSync(join(CHART, "files/dashboards/ordermesh.json"), "utf8"),
  );
  const queries = [
    ...rules.groups.flatMap(({ rules: own }) => own.map(({ expr }) => expr)),
    ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
  ];
  const asked = new Set(
    queries.flatMap((query) =>
      [
        ...query.matchAll(
          /(?<![:\w])((?:mesh|rpc|http|saga|orders|outbox|messaging|inbox|storefront|db)_[a-z_]+)(?=[{[)\s>]|$)/g,
        ),
      ].map(([, name = ""]) => name.replace(/_(count|bucket|sum)$/, "")),
    ),
  );
  const labels = new Set([
    "rpc_method",
    "rpc_status_code",
    "http_route",
    "http_response_status_code",
    "messaging_destination_name",
  ]);
  assert.ok(asked.size > 15, [...asked].join(" "));
  assert.deepEqual(
    [...asked].filter((name) => !known.has(name) && !labels.has(name)),
    [],
  );
});
