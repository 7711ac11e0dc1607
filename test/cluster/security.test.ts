/** Who may do what on the cluster: Pod Security, NetworkPolicies, rights. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { helm, kubectl, NAMESPACE, RELEASE, ROOT } from "@ordermesh/cluster/tools";
import { parse } from "yaml";
import { installed, runIn } from "./harness.ts";

type Facts = {
  readonly enabledBy?: string;
  readonly grpc?: boolean;
  readonly calledBy: readonly string[];
  readonly database?: boolean;
  readonly kafka?: unknown;
  readonly kubernetes?: unknown;
};
const TABLE: Readonly<Record<string, Facts>> = parse(
  readFileSync(join(ROOT, "helm/ordermesh/files/services.yaml"), "utf8"),
);
const SERVICES = Object.keys(TABLE).filter((service) => TABLE[service]?.enabledBy === undefined);
const { tag, mode } = await installed();
const KAFKA = mode === "strimzi" ? `${RELEASE}-kafka-bootstrap:9093` : `${RELEASE}-kafka:9092`;
const TARGETS = [
  ...SERVICES.map((service) => ({ to: service, address: `${RELEASE}-${service}-pods:50051` })),
  ...SERVICES.map((service) => ({ to: `${service}-admin`, address: `${RELEASE}-${service}-pods:9090` })),
  { to: "postgres", address: `${RELEASE}-postgres:5432` },
  { to: "etcd", address: `${RELEASE}-etcd:2379` },
  { to: "etcd-peers", address: `${RELEASE}-etcd:2380` },
  { to: "kafka", address: KAFKA },
  { to: "api-server", address: "kubernetes.default:443" },
  { to: "outside", address: "1.1.1.1:443" },
];

/** Prints a list of booleans: which of `addresses` answer within 2.5 s. */
const probe = (addresses: readonly string[]) => `
  import { connect } from "node:net";
  const reach = (address) => new Promise((resolve) => {
    const [host, port] = address.split(":");
    const socket = connect({ host, port: Number(port), timeout: 2500 });
    for (const [event, is] of [["connect", true], ["timeout", false], ["error", false]]) socket.on(event, () => { socket.destroy(); resolve(is); });
  });
  console.log(JSON.stringify(await Promise.all(${JSON.stringify(addresses)}.map(reach))));`;

function mayReach(from: string, to: string): boolean {
  const { database, kafka, kubernetes } = TABLE[from] ?? {};
  const also = { etcd: true, postgres: database, kafka, "api-server": kubernetes };
  return Boolean(also[to as keyof typeof also]) || (TABLE[to]?.calledBy.includes(from) ?? false);
}

test("the API server takes every profile with every Kafka, and Pod Security has no complaint", {
  skip: mode === "strimzi" ? false : "the cluster does not know Strimzi",
}, async () => {
  for (const profile of ["dev", "default", "ha"])
    for (const kafka of [
      "mode=strimzi",
      "mode=embedded",
      "mode=external,kafka.external.brokers={kafka.example:9093}",
    ]) {
      const values = profile === "default" ? [] : ["--values", `helm/ordermesh/profiles/${profile}.yaml`];
      const file = join(ROOT, ".cache", "rendered.yaml");
      mkdirSync(join(ROOT, ".cache"), { recursive: true });
      const apis = ["--api-versions", "kafka.strimzi.io/v1"];
      writeFileSync(
        file,
        await helm(
          "template",
          "other",
          "helm/ordermesh",
          "--no-hooks", // Their accounts would have to be there; the tests of the chart itself run them.
          ...values,
          ...apis,
          "--set",
          `kafka.${kafka},storefront.nodePort=null`,
        ),
      );
      await kubectl("apply", "--dry-run=server", "--warnings-as-errors", "-f", file);
    }
});

test("who may call whom is exactly the table, the API server and the outside included", async (t) => {
  const wrong: string[] = [];
  let pairs = 0;
  for (const from of SERVICES) {
    const script = probe(TARGETS.map(({ address }) => address));
    const reached: readonly boolean[] = JSON.parse(await runIn(from, script));
    for (const [index, { to }] of TARGETS.entries()) {
      // Nothing can keep a pod from its own address. Without gRPC nobody listens on that port, which the table knows.
      if (to === from || to === `${from}-admin`) continue;
      pairs += 1;
      if (reached[index] !== mayReach(from, to))
        wrong.push(`${from} -> ${to} is ${reached[index] ? "open" : "closed"}`);
    }
  }
  t.diagnostic(`${pairs} pairs tried`);
  assert.deepEqual(wrong, []);
});

for (const namespace of [NAMESPACE, "default"])
  test(`a stranger in namespace ${namespace} reaches the shop and nothing else`, async () => {
    const addresses = [...TARGETS.filter(({ to }) => to !== "outside" && to !== "api-server")].map(({ address }) =>
      address.replace(":", `.${NAMESPACE}:`),
    );
    const shop = `${RELEASE}-storefront.${NAMESPACE}:80`;
    const restricted = { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } };
    const container = {
      name: "stranger",
      image: `ordermesh:${tag}`,
      args: ["--input-type=module", "-e", probe([shop, ...addresses])],
      securityContext: restricted,
    };
    const securityContext = { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } };
    const spec = { containers: [container], securityContext, restartPolicy: "Never" };
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "stranger", namespace }, spec };
    const file = join(ROOT, ".cache", "stranger.json");
    writeFileSync(file, JSON.stringify(pod));
    await kubectl("apply", "--namespace", namespace, "-f", file);
    try {
      const done = "jsonpath={.status.phase}=Succeeded";
      await kubectl("wait", "--namespace", namespace, "--for", done, "pod/stranger", "--timeout", "60s");
      const [reachedShop, ...reached] = JSON.parse(await kubectl("logs", "--namespace", namespace, "stranger"));
      assert.equal(reachedShop, true);
      assert.deepEqual(
        addresses.filter((_, index) => reached[index]),
        [],
      );
    } finally {
      await kubectl("delete", "--namespace", namespace, "pod", "stranger");
    }
  });

test("a pod that wants more than Pod Security allows is refused", async () => {
  const pod = ["run", "root", "--image", `ordermesh:${tag}`, "--dry-run=server"];
  await assert.rejects(kubectl(...pod), /violates PodSecurity "restricted/);
});

test("the accounts of services may do nothing in the cluster, but the auditor, which lists EndpointSlices", async (t) => {
  const lines: string[] = [];
  for (const service of SERVICES) {
    const account = `system:serviceaccount:${NAMESPACE}:${RELEASE}-${service}`;
    const may = (verb: string, what: string) =>
      kubectl("auth", "can-i", verb, what, "--as", account).then(
        (answer) => answer.endsWith("yes"),
        () => false,
      );
    const rights = [];
    for (const [verb, what] of [
      ["list", "endpointslices.discovery.k8s.io"],
      ["watch", "endpointslices.discovery.k8s.io"],
      ["list", "pods"],
      ["get", "secrets"],
      ["get", "configmaps"],
      ["create", "pods"],
    ] as const)
      if (await may(verb, what)) rights.push(`${verb} ${what}`);
    lines.push(`${service}: ${rights.join(", ") || "nothing"}`);
    assert.deepEqual(rights, service === "auditor" ? ["list endpointslices.discovery.k8s.io"] : [], service);
  }
  t.diagnostic(lines.join("\n"));
});
