/** Kafka embedded and Kafka of somebody else, each with a release in a namespace of its own. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { helm, kubectl, ROOT } from "@ordermesh/cluster/tools";
import { installed } from "./harness.ts";

const { tag, mode } = await installed();
const USERS = ["order", "shipping", "notification"];

/** Makes a namespace like ours, installs a release with what `work` says, tries an order, and takes both away. */
async function withNamespace(namespace: string, work: (flags: readonly string[]) => Promise<void>): Promise<void> {
  const file = join(ROOT, ".cache", "namespace.yaml");
  const ours = readFileSync(join(ROOT, "k8s/namespace.yaml"), "utf8");
  writeFileSync(file, ours.replace("name: ordermesh", `name: ${namespace}`));
  await kubectl("apply", "-f", file);
  const dev = ["--values", "helm/ordermesh/profiles/dev.yaml", "--set-string", `image.tag=${tag}`];
  const shop = ["--set", "storefront.type=ClusterIP,storefront.nodePort=null,prometheus.enabled=false"];
  try {
    await work(["other", "helm/ordermesh", "--namespace", namespace, ...dev, ...shop]);
    await helm("test", "other", "--namespace", namespace, "--timeout", "3m");
    await helm("uninstall", "other", "--namespace", namespace, "--wait", "--timeout", "3m");
  } finally {
    await kubectl("delete", "namespace", namespace, "--timeout", "3m");
  }
}

test("with Kafka embedded an order is shipped", () =>
  withNamespace("ordermesh-embedded", async (flags) => {
    await helm("install", ...flags, "--set", "kafka.mode=embedded", "--wait", "--timeout", "6m");
  }));

test("with Kafka of somebody else, over TLS and with a user for each service, an order is shipped; without its secrets nothing is installed", {
  skip: mode === "strimzi" ? false : "nobody else's Kafka can be had without Strimzi",
}, async () => {
  const outside = ["--namespace", "outside-kafka"] as const;
  await kubectl("create", "namespace", "outside-kafka");
  try {
    await kubectl("apply", ...outside, "-f", "test/cluster/outside-kafka.yaml");
    await withNamespace("ordermesh-external", async (flags) => {
      const kafka = [
        "--set",
        "kafka.mode=external,kafka.external.brokers={outside-kafka-bootstrap.outside-kafka:9093},kafka.external.caSecret=kafka-ca,kafka.external.passwordSecret=kafka-passwords",
      ];
      await assert.rejects(
        helm("install", ...flags, ...kafka),
        /kafka\.external\.caSecret: there is no secret kafka-ca in namespace ordermesh-external/,
      );
      assert.equal(await kubectl("get", "deployments", "--namespace", "ordermesh-external", "-o", "name"), "");
      await kubectl("wait", ...outside, "--for=condition=Ready", "kafka/outside", "--timeout", "5m");
      const read = async (secret: string, key: string) =>
        Buffer.from(JSON.parse(await kubectl("get", ...outside, "secret", secret, "-o", "json")).data[key], "base64");
      const make = (name: string, ...from: readonly string[]) =>
        kubectl("create", "--namespace", "ordermesh-external", "secret", "generic", name, ...from);
      await make("kafka-ca", `--from-literal=ca.crt=${await read("outside-cluster-ca-cert", "ca.crt")}`);
      const passwords = [];
      for (const user of USERS) passwords.push(`--from-literal=${user}=${await read(user, "password")}`);
      await make("kafka-passwords", ...passwords);
      await helm("install", ...flags, ...kafka, "--wait", "--timeout", "6m");
    });
    await kubectl("delete", ...outside, "kafkatopics,kafkausers", "--all", "--timeout", "60s");
    await kubectl("delete", ...outside, "kafkas,kafkanodepools", "--all", "--timeout", "60s");
  } finally {
    await kubectl("delete", "namespace", "outside-kafka", "--timeout", "3m");
  }
});
