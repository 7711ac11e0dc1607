import assert from "node:assert/strict";
import { test } from "node:test";
import { describeSources } from "./preflight.ts";
import { chooseSources, type Findings } from "./sources.ts";

const nothing: Findings = {
  addresses: {},
  etcd: undefined,
  kafkaHome: undefined,
  postgresBin: undefined,
  go: undefined,
  java: undefined,
  javaVersion: 0,
  maven: undefined,
  hasKafkaJars: false,
  hasBuiltEtcd: false,
  npmPostgresBin: undefined,
  docker: false,
};
const java = { java: "/bin/java", javaVersion: 17 };

const TABLE: readonly [string, Partial<Findings>, readonly [string, string, string]][] = [
  ["nothing", {}, ["missing", "missing", "missing"]],
  ["Docker alone", { docker: true }, ["image", "image", "image"]],
  [
    "toolchains",
    { go: "/bin/go", ...java, maven: "/bin/mvn", npmPostgresBin: "/npm", docker: true },
    ["toolchain", "toolchain", "toolchain"],
  ],
  [
    "what was built before",
    { hasBuiltEtcd: true, ...java, hasKafkaJars: true, npmPostgresBin: "/npm" },
    ["toolchain", "toolchain", "toolchain"],
  ],
  [
    "binaries",
    { etcd: "/bin/etcd", kafkaHome: "/kafka", ...java, postgresBin: "/pg", go: "/bin/go", maven: "/bin/mvn" },
    ["binary", "binary", "binary"],
  ],
  ["Java without Maven", { ...java }, ["missing", "missing", "missing"]],
  [
    "an old Java",
    { java: "/bin/java", javaVersion: 11, maven: "/bin/mvn", hasKafkaJars: true },
    ["missing", "missing", "missing"],
  ],
  [
    "addresses before everything",
    { addresses: { etcd: "e", kafka: "k", postgres: "p" }, etcd: "/bin/etcd", docker: true },
    ["address", "address", "address"],
  ],
];
for (const [title, found, kinds] of TABLE)
  test(`with ${title}: etcd ${kinds[0]}, Kafka ${kinds[1]}, PostgreSQL ${kinds[2]}`, () => {
    const { etcd, kafka, postgres } = chooseSources({ ...nothing, ...found });
    assert.deepEqual([etcd.kind, kafka.kind, postgres.kind], kinds);
  });

test("what is missing is said in one sentence each, with what to do", () => {
  const lines = describeSources(chooseSources({ ...nothing, ...java }));
  assert.deepEqual(lines, [
    "etcd      MISSING: etcd: put etcd or Go into PATH, start Docker, or set MESH_ETCD_ENDPOINTS.",
    "kafka     MISSING: Kafka: install Maven (mvn), to fetch Kafka once, start Docker, or set MESH_KAFKA_BROKERS.",
    "postgres  MISSING: PostgreSQL: put initdb and postgres into PATH, start Docker, or set MESH_POSTGRES_URL (a superuser's URL).",
  ]);
});

test("an address is shown without its password", () => {
  const lines = describeSources(
    chooseSources({ ...nothing, addresses: { postgres: "postgres://root:hunter2@db:5432/postgres" } }),
  );
  assert.doesNotMatch(lines.join(), /hunter2/);
});
