/** What must hold on a real cluster; `make e2e` brings the system up first. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { install, untilReady } from "@ordermesh/cluster/cluster";
import { helm, kubectl, RELEASE, ROOT, tool } from "@ordermesh/cluster/tools";
import { installed, judged, pods, restarts, runIn, URL_OF_SHOP, withPrometheus } from "./harness.ts";

const { mode } = await installed();

test("everything runs, nothing was restarted", async (t) => {
  const running = await pods();
  t.diagnostic(running.map(({ metadata, status }) => `${metadata.name} ${status.phase}`).join("\n"));
  assert.deepEqual(
    running.filter(({ status }) => !["Running", "Succeeded"].includes(status.phase)),
    [],
  );
  assert.deepEqual(await restarts(), []);
});

test("a program finds in the image what was compiled for it", async (t) => {
  // Started once more as the container's process was, with a setting that is refused: Node tells whose cache it accepted.
  const again = "NODE_DEBUG_NATIVE=COMPILE_CACHE MESH_BAKE=1 xargs -0 env < /proc/1/cmdline 2>&1 || true";
  const said = await kubectl("exec", `deployment/${RELEASE}-order`, "--", "sh", "-c", again);
  const accepted = said.match(/V8 code cache for .* was accepted/g) ?? [];
  t.diagnostic(`${accepted.length} modules`);
  assert.ok(accepted.length > 300, `${accepted.length} modules came from the cache`);
});

test("helm test: an order is shipped, its customer is in no log, whoever is not in the table reaches nobody", async (t) => {
  t.diagnostic(await helm("test", RELEASE, "--timeout", "2m"));
});

test("the commands of docs/kubernetes.md work, as they stand there", async (t) => {
  const text = readFileSync(join(ROOT, "docs/kubernetes.md"), "utf8");
  const blocks = [...text.matchAll(/^```console\n([\s\S]*?)^```/gm)].map(([, block = ""]) => block);
  const commands = blocks.flatMap((block) => [...block.matchAll(/^\$ (.*)$/gm)].map(([, command = ""]) => command));
  assert.ok(commands.length >= 5, "the commands were not found");
  t.diagnostic(await tool("bash", ["-euo", "pipefail", "-c", commands.join("\n")]));
});

test("a service with Kafka may do what it needs and no more, and has no other's user", {
  skip: mode === "strimzi" ? false : "only Strimzi makes users here",
}, async () => {
  const write = (topic: string, user: string) =>
    runIn(
      "shipping",
      `import kafkajs from "kafkajs"; import { readFileSync } from "node:fs";
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
  await judged({ seed: 40, seconds: 15, say: (line) => t.diagnostic(line) }, async () => undefined);
  await withPrometheus(async (query) => {
    const empty: string[] = [];
    for (const { title, targets } of panels) if ((await query(targets[0].expr)).length === 0) empty.push(title);
    assert.deepEqual(empty, []);
    t.diagnostic(`${panels.length} queries answered`);
    assert.deepEqual(await query("ALERTS{alertstate='firing'}"), []);
  });
});

test("an endpoint without a pod is counted by the auditor, and forgotten with its key", async () => {
  const key = "/ordermesh/endpoints/order/ghost";
  const ghost = {
    service: "order",
    instance: "ghost",
    address: "10.255.255.1:50051",
    adminAddress: "10.255.255.1:9090",
  };
  const document = { ...ghost, version: "x", zone: "x", weight: 1, protocol: "grpc", pod: "ghost", node: "x" };
  const etcdctl = (...args: readonly string[]) => kubectl("exec", `${RELEASE}-etcd-0`, "--", "etcdctl", ...args);
  const drift = "sum by (service, missing_in) (mesh_endpoint_drift) > 0";
  await withPrometheus(async (query) => {
    const until = async (isThere: (labels: readonly unknown[]) => boolean) => {
      const endsMs = performance.now() + 60_000;
      let found: readonly unknown[] = [];
      do {
        found = ((await query(drift)) as { metric: unknown }[]).map(({ metric }) => metric);
        if (isThere(found)) return;
        await sleep(1_000);
      } while (performance.now() < endsMs);
      assert.fail(`after a minute the drift is ${JSON.stringify(found)}`);
    };
    await until((found) => found.length === 0);
    await etcdctl("put", key, JSON.stringify(document));
    await until((found) => JSON.stringify(found) === '[{"missing_in":"kubernetes","service":"order"}]');
    await etcdctl("del", key);
    await until((found) => found.length === 0);
  });
});

test("an image that is nowhere is said in a sentence, and the old one goes on serving", async () => {
  await install("no-such-tag", "default", ["--reuse-values"]);
  try {
    await assert.rejects(
      untilReady(() => undefined),
      /^Error: No node can get the image ordermesh:no-such-tag: is the tag right/,
    );
    const { status } = await fetch(`${URL_OF_SHOP}/openapi.json`);
    assert.equal(status, 200);
  } finally {
    await helm("rollback", RELEASE);
  }
  await untilReady(() => undefined);
  assert.deepEqual(await restarts(), []);
});
