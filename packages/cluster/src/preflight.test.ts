import assert from "node:assert/strict";
import { test } from "node:test";
import { type Facts, problemsOf } from "./preflight.ts";

const GOOD: Facts = {
  versions: {
    docker: "27.3.1",
    kind: "kind v0.33.0 go1.26",
    kubectl: "Client Version: v1.34.10",
    helm: "v4.2.4+g1",
    skaffold: "v2.24.0",
  },
  isDockerUp: true,
  hasCluster: false,
  isClusterUp: false,
  hasStrimzi: true,
  takenPorts: [],
  memoryBytes: 8 * 1024 ** 3,
};

test("a machine with everything has no problems", () => assert.deepEqual(problemsOf(GOOD), []));

for (const [what, change, problem] of [
  ["no docker", { versions: { ...GOOD.versions, docker: undefined } }, /^docker is missing: get it from https/],
  ["no kind", { versions: { ...GOOD.versions, kind: undefined } }, /^kind is missing/],
  ["an old helm", { versions: { ...GOOD.versions, helm: "v3.2.0" } }, /^helm 3\.2 is too old: 3\.16 or newer/],
  ["docker that does not run", { isDockerUp: false }, /^Docker does not answer: start it/],
  ["a taken port", { takenPorts: [8080] }, /^Port 8080 is in use: .*k8s\/kind\.yaml/],
  ["a port of the console", { takenPorts: [9090] }, /^Port 9090 is in use/],
  [
    "a cluster that was stopped",
    { hasCluster: true },
    /^The kind cluster ordermesh is there but does not answer: `make down`/,
  ],
  ["no Strimzi to be had", { hasStrimzi: false }, /^Strimzi is not on the cluster, .* --kafka embedded\.$/],
  ["too little memory", { memoryBytes: 2 * 1024 ** 3 }, /^This machine has 2\.0 GiB/],
] as const)
  test(`${what} is one sentence that says what to do`, () => {
    const problems = problemsOf({ ...GOOD, ...change });
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? "", problem);
  });

test("our own cluster's ports are not a problem", () =>
  assert.deepEqual(problemsOf({ ...GOOD, hasCluster: true, isClusterUp: true, takenPorts: [8080, 9090] }), []));

test("skaffold is missed by dev only", () => {
  const facts = { ...GOOD, versions: { ...GOOD.versions, skaffold: undefined } };
  assert.deepEqual(problemsOf(facts, "up"), []);
  assert.match(problemsOf(facts, "dev").join(), /^skaffold is missing: get it from https/);
});
