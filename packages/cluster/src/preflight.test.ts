import assert from "node:assert/strict";
import { test } from "node:test";
import { type Facts, problemsOf } from "./preflight.ts";

const GOOD: Facts = {
  versions: { docker: "27.3.1", kind: "kind v0.33.0 go1.26", kubectl: "Client Version: v1.34.10", helm: "v4.2.4+g1" },
  isDockerUp: true,
  hasCluster: false,
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
  ["too little memory", { memoryBytes: 2 * 1024 ** 3 }, /^This machine has 2\.0 GiB/],
] as const)
  test(`${what} is one sentence that says what to do`, () => {
    const problems = problemsOf({ ...GOOD, ...change });
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? "", problem);
  });

test("our own cluster's ports are not a problem", () =>
  assert.deepEqual(problemsOf({ ...GOOD, hasCluster: true, takenPorts: [8080] }), []));
