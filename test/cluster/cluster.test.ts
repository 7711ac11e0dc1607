/** What must hold on a real cluster; `make e2e` brings the system up first. The tests run in this order. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { buildImage, install, loadImage, untilReady } from "@ordermesh/cluster/cluster";
import { helm, kubectl, RELEASE, ROOT, tool } from "@ordermesh/cluster/tools";
import { parse } from "yaml";
import type { DemoResult } from "../demo/demo.ts";
import { judged, pods, restarts, runIn, SERVICES, withPrometheus } from "./harness.ts";

type Facts = {
  readonly calledBy: readonly string[];
  readonly database?: boolean;
  readonly kafka?: { readonly writes: readonly string[] };
};
const TABLE: Readonly<Record<string, Facts>> = parse(
  readFileSync(join(ROOT, "helm/ordermesh/files/services.yaml"), "utf8"),
);
const LOAD_S = 45;

function report(t: TestContext, { load, verdict, restMs }: DemoResult): void {
  t.diagnostic(
    `${load.begun} orders: ${load.confirmed} confirmed, ${load.cancelled} cancelled, ${load.refused} refused, ${load.unknown} unknown, ${load.retries} asked again; p50 ${load.p50Ms} ms, p99 ${load.p99Ms} ms; at rest after ${restMs} ms; ${verdict.verdict}`,
  );
}

/** What `disturb` did was not seen by any customer. */
function assertUnseen({ load, verdict, isAtRest }: DemoResult): void {
  assert.equal(verdict.verdict, "Passed", JSON.stringify(verdict.findings));
  assert.ok(isAtRest, "the system did not come to rest");
  assert.deepEqual(
    { refused: load.refused, unknown: load.unknown, askedAgain: load.retries },
    { refused: 0, unknown: 0, askedAgain: 0 },
  );
}

test("everything runs, nothing was restarted", async (t) => {
  const running = await pods();
  t.diagnostic(running.map(({ metadata, status }) => `${metadata.name} ${status.phase}`).join("\n"));
  assert.deepEqual(
    running.filter(({ status }) => !["Running", "Succeeded"].includes(status.phase)),
    [],
  );
  assert.deepEqual(await restarts(), []);
});

test("the API server takes every profile with every Kafka, and Pod Security has no complaint", async () => {
  for (const profile of ["dev", "default", "ha"])
    for (const kafka of [
      "mode=strimzi",
      "mode=embedded",
      "mode=external,kafka.external.brokers={kafka.example:9093}",
    ]) {
      const values = profile === "default" ? [] : ["--values", `helm/ordermesh/profiles/${profile}.yaml`];
      const file = join(ROOT, ".cache", "rendered.yaml");
      const apis = ["--api-versions", "kafka.strimzi.io/v1"];
      writeFileSync(
        file,
        await helm(
          "template",
          "other",
          "helm/ordermesh",
          ...values,
          ...apis,
          "--set",
          `kafka.${kafka},storefront.nodePort=null`,
        ),
      );
      await kubectl("apply", "--dry-run=server", "--warnings-as-errors", "-f", file);
    }
});

test("helm test: an order is shipped, whoever is not in the table reaches nobody", async (t) => {
  t.diagnostic(await helm("test", RELEASE, "--logs", "--timeout", "2m"));
});

test("who may call whom is exactly the table", async (t) => {
  const targets = [
    ...SERVICES.map((service) => ({ to: service, address: `${RELEASE}-${service}-pods:50051` })),
    { to: "postgres", address: `${RELEASE}-postgres:5432` },
    { to: "etcd", address: `${RELEASE}-etcd:2379` },
    { to: "etcd-peers", address: `${RELEASE}-etcd:2380` },
    { to: "kafka", address: `${RELEASE}-kafka-bootstrap:9093` },
    { to: "admin", address: `${RELEASE}-payment-pods:9090` },
    { to: "prometheus", address: `${RELEASE}-prometheus:9090` },
    { to: "api-server", address: "kubernetes.default:443" },
    { to: "outside", address: "1.1.1.1:443" },
  ];
  const mayCall = (from: string, to: string) =>
    to === "etcd" ||
    (to === "postgres" && TABLE[from]?.database === true) ||
    (to === "kafka" && TABLE[from]?.kafka !== undefined) ||
    (TABLE[to]?.calledBy.includes(from) ?? false);
  const script = `
    import { connect } from "node:net";
    const reach = (address) => new Promise((resolve) => {
      const [host, port] = address.split(":");
      const socket = connect({ host, port: Number(port), timeout: 2500 });
      for (const [event, is] of [["connect", true], ["timeout", false], ["error", false]]) socket.on(event, () => { socket.destroy(); resolve(is); });
    });
    console.log(JSON.stringify(await Promise.all(${JSON.stringify(targets.map(({ address }) => address))}.map(reach))));`;
  const wrong: string[] = [];
  for (const from of SERVICES) {
    const reached: readonly boolean[] = JSON.parse(await runIn(from, script));
    // What serves no such port, storefront's gRPC aside, answers nobody; itself it may reach by loopback only.
    for (const [index, { to }] of targets.entries())
      if (reached[index] !== mayCall(from, to)) wrong.push(`${from} -> ${to} is ${reached[index] ? "open" : "closed"}`);
  }
  t.diagnostic(`${SERVICES.length * targets.length} pairs tried`);
  assert.deepEqual(wrong, []);
});

test("a service with Kafka may do what it needs and no more", async () => {
  const write = (topic: string, user: string) =>
    runIn(
      "shipping",
      `import kafkajs from "kafkajs"; import { readFileSync, writeFileSync } from "node:fs";
      const { MESH_KAFKA_BROKERS, MESH_KAFKA_USERNAME, MESH_KAFKA_PASSWORD } = process.env;
      const kafka = new kafkajs.Kafka({ brokers: [MESH_KAFKA_BROKERS], ssl: { ca: readFileSync("/etc/mesh/kafka/ca.crt", "utf8") }, logLevel: 0, retry: { retries: 0 },
        sasl: { mechanism: "scram-sha-512", username: "${user}" || MESH_KAFKA_USERNAME, password: MESH_KAFKA_PASSWORD } });
      const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
      try { await producer.connect(); await producer.send({ topic: "${topic}", acks: -1, messages: [{ key: "x", value: "x" }] }); console.log("written"); }
      catch (error) { console.log(error.type ?? error.name); }
      process.exit(0);`,
    );
  // What each may do, every order of the other tests shows.
  assert.match(await write("orders", ""), /TOPIC_AUTHORIZATION_FAILED/);
  assert.match(await write("orders", `${RELEASE}-order`), /SASL/);
});

test("every query of the dashboards has an answer, and no alert fires", async (t) => {
  const { panels } = JSON.parse(readFileSync(join(ROOT, "helm/ordermesh/files/dashboards/ordermesh.json"), "utf8"));
  await judged(
    40,
    15,
    async () => undefined,
    (line) => t.diagnostic(line),
  );
  await withPrometheus(async (query) => {
    const empty: string[] = [];
    for (const { title, targets } of panels) if ((await query(targets[0].expr)).length === 0) empty.push(title);
    assert.deepEqual(empty, []);
    t.diagnostic(`${panels.length} queries answered`);
    assert.deepEqual(await query("ALERTS{alertstate='firing'}"), []);
  });
});

test("an upgrade to another image and the way back are seen by no customer", async (t) => {
  const tag = await buildImage();
  await tool("docker", ["tag", `ordermesh:${tag}`, `ordermesh:${tag}-next`]);
  await loadImage(`${tag}-next`);
  const result = await judged(
    41,
    2 * LOAD_S,
    async () => {
      await install(`${tag}-next`, "dev", ["--reuse-values"]);
      await untilReady(() => undefined);
      await helm("rollback", RELEASE);
      await untilReady(() => undefined);
    },
    (line) => t.diagnostic(line),
  );
  report(t, result);
  assertUnseen(result);
});

test("a rollout restart of every service is seen by no customer", async (t) => {
  const restart = async () => {
    await kubectl("rollout", "restart", "deployment", "-l", `app.kubernetes.io/instance=${RELEASE}`);
    await untilReady(() => undefined);
  };
  const result = await judged(42, LOAD_S, restart, (line) => t.diagnostic(line));
  report(t, result);
  assertUnseen(result);
});

test("each stateful part's pod is deleted under load: no order is lost, no card charged twice, no service restarts", async (t) => {
  const lose = async () => {
    for (const part of [`${RELEASE}-etcd-0`, `${RELEASE}-postgres-0`, `${RELEASE}-${RELEASE}-nodes-0`]) {
      await kubectl("delete", "pod", part, "--wait=false");
      await new Promise((resolve) => setTimeout(resolve, 12_000));
    }
    await untilReady(() => undefined);
  };
  const result = await judged(43, LOAD_S, lose, (line) => t.diagnostic(line));
  report(t, result);
  assert.equal(result.verdict.verdict, "Passed", JSON.stringify(result.verdict.findings));
  assert.ok(result.isAtRest, "the system did not come to rest");
  assert.deepEqual(await restarts(), []);
});
