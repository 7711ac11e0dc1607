/** What a real API server makes of experiments: the same as the reader of files, and what only it can refuse. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { before, test } from "node:test";
import { checkSpec } from "@ordermesh/chaos/experiment";
import type { ExperimentStatus } from "@ordermesh/chaos/status";
import { ROOT } from "@ordermesh/cluster/tools";
import { parseAllDocuments } from "yaml";
import { BAD_DOCUMENTS, goodDocument } from "./bad-documents.ts";
import { api, CLOSED, callOf, change, create, kubectl, OPEN, prepare, refusal, SKIP } from "./harness.ts";

before(async () => {
  if (!SKIP.skip) await prepare();
});

async function stored(name: string, spec: object = {}) {
  const document = goodDocument(name);
  Object.assign(document.spec, spec);
  await api.remove(callOf(OPEN, name)).catch(() => undefined);
  return await api.create(callOf(OPEN), document);
}

for (const { what, change: spoil, blames } of BAD_DOCUMENTS)
  test(`the API server refuses ${what}, and blames ${blames}`, SKIP, async () => {
    const document = goodDocument();
    spoil(document);
    const error = await create(document);
    assert.ok(error !== undefined, "it was taken");
    assert.ok(error.message.includes(blames), error.message);
  });

test("the API server gives a spec the same defaults as the reader of files", SKIP, async () => {
  const check = { name: "one", workload: "SuccessMilli", thresholdMilli: 990 };
  const further = { steadyState: [check], stopConditions: [check] };
  const { spec } = await stored("defaults", further);
  const checked = checkSpec({ ...goodDocument().spec, ...further });
  assert.ok("spec" in checked);
  assert.deepEqual(spec, checked.spec);
});

test("the API server takes every experiment of the catalogue", SKIP, async () => {
  const dir = `${ROOT}k8s/chaos/`;
  const files = existsSync(dir) ? readdirSync(dir).filter((file) => file.endsWith(".yaml")) : [];
  for (const file of files)
    for (const document of parseAllDocuments(readFileSync(dir + file, "utf8"))) {
      const error = await create(document.toJS());
      assert.equal(error?.message, undefined, file);
    }
});

const CHANGES: Readonly<Record<string, object>> = {
  description: { description: "another" },
  target: { target: { maxTargets: 2 } },
  "a label of the selector": { target: { selector: { matchLabels: { more: "x" } } } },
  "the action's member": { action: { podKill: { times: 2 } } },
  action: { action: { type: "Freeze", podKill: null, freeze: {} } },
  baselineSeconds: { baselineSeconds: 20 },
  durationSeconds: { durationSeconds: 20 },
  recoverySeconds: { recoverySeconds: 20 },
  deadlineSeconds: { deadlineSeconds: 200 },
  workload: { workload: { minAccepted: 0 } },
  steadyState: { steadyState: [{ name: "one", workload: "SuccessMilli", thresholdMilli: 1 }] },
  invariants: { invariants: ["NoOrderLost"] },
  stopConditions: { stopConditions: [{ name: "one", workload: "SuccessMilli", thresholdMilli: 1 }] },
  startDeadlineSeconds: { startDeadlineSeconds: 90 },
  "an optional field that appears": { ttlSecondsAfterFinished: 60 },
  dryRun: { dryRun: true },
  seed: { seed: 2 },
};
for (const [what, spec] of Object.entries(CHANGES))
  test(`a stored experiment keeps its spec: ${what} cannot be changed`, SKIP, async () => {
    await stored("immutable");
    assert.match((await change("immutable", { spec }))?.message ?? "it was changed", /the spec is immutable/);
  });

test("an optional field that was given cannot be taken away", SKIP, async () => {
  await stored("optional", { ttlSecondsAfterFinished: 60 });
  const error = await change("optional", { spec: { ttlSecondsAfterFinished: null } });
  assert.match(error?.message ?? "it was changed", /the spec is immutable/);
});

test("abort can be set, and not taken back", SKIP, async () => {
  await stored("abort");
  assert.equal(await change("abort", { spec: { abort: true } }), undefined);
  assert.match((await change("abort", { spec: { abort: false } }))?.message ?? "taken back", /abort cannot be undone/);
});

const STATUS: ExperimentStatus = {
  observedGeneration: 1,
  phase: "Completed",
  verdict: "Failed",
  reason: "InvariantViolated",
  message: "One card was charged twice.",
  target: "payment 1/2",
  startTime: "2026-01-02T03:04:05.000Z",
  injectStartTime: "2026-01-02T03:04:05.000Z",
  healStartTime: "2026-01-02T03:04:05.000Z",
  healedTime: "2026-01-02T03:04:05.000Z",
  completionTime: "2026-01-02T03:04:05.000Z",
  stop: { reason: "Abort", message: "asked for" },
  targets: [
    {
      kind: "Pod",
      name: "payment-1",
      uid: "u",
      node: "n",
      round: 1,
      state: "Healed",
      injectedAt: "2026-01-02T03:04:05.000Z",
      healedAt: "2026-01-02T03:04:05.000Z",
      undo: "",
    },
  ],
  faultEvidence: { expected: 1, observed: 1, detail: "1 pod gone" },
  checks: [
    {
      name: "one",
      phase: "During",
      lastMilli: null,
      worstMilli: 900,
      samples: 1,
      failures: 0,
      consecutiveFailures: 0,
      mostConsecutiveFailures: 0,
      errors: 0,
      consecutiveErrors: 0,
      lastAt: "2026-01-02T03:04:05.000Z",
      lastFailedAt: null,
    },
  ],
  stopConditions: [],
  drain: { open: ["1 order"], sinceTime: "2026-01-02T03:04:05.000Z" },
  judgeStartTime: "2026-01-02T03:04:05.000Z",
  invariants: [{ name: "NoDoubleCharge", held: "False", examined: 10, violations: 1, examples: ["o-1"] }],
  accepted: { before: 1, during: 2, after: 3 },
  timeToRecoverSeconds: 4.5,
  reportRef: { kind: "ConfigMap", name: "r" },
  conditions: [
    {
      type: "Complete",
      status: "True",
      reason: "Done",
      message: "",
      lastTransitionTime: "2026-01-02T03:04:05.000Z",
      observedGeneration: 1,
    },
  ],
};

test(
  "a verdict cannot be written by whoever writes the spec, and every field of the status is kept",
  SKIP,
  async () => {
    const document = goodDocument("status");
    document.status = STATUS;
    const made = await api.create(callOf(OPEN), document);
    assert.equal(made.status, undefined);
    await change("status", { status: STATUS });
    assert.equal((await api.get(callOf(OPEN, "status"))).status, undefined);
    const now = await api.get(callOf(OPEN, "status"));
    const { status } = await api.replace(callOf(OPEN, "status", "status"), { ...now, status: STATUS });
    assert.deepEqual(status, STATUS);
    assert.equal(
      (await kubectl("get", "cx", "-n", OPEN, "--field-selector", "status.verdict=Failed", "-o", "name")).split("\n")
        .length,
      1,
    );
  },
);

test("kubectl get shows what happened in words", SKIP, async () => {
  const [head = "", ...rows] = (await kubectl("get", "chaosexperiments", "-n", OPEN)).split("\n");
  assert.deepEqual(head.split(/\s+/), "NAME ACTION TARGET PHASE VERDICT REASON HEALED TTR AGE".split(" "));
  const row = rows.find((line) => line.startsWith("status ")) ?? "";
  assert.match(row, /PodKill +payment 1\/2 +Completed +Failed +InvariantViolated/);
});

test("the longest name there is, is taken", SKIP, async () => {
  assert.equal(await create(goodDocument("x".repeat(253))), undefined);
  assert.match((await create(goodDocument("x".repeat(254))))?.message ?? "taken", /name/);
});

test("an experiment that was exported is refused until it is a new one", SKIP, async () => {
  const exported = await stored("exported");
  await api.remove(callOf(OPEN, "exported"));
  assert.match((await refusal(api.create(callOf(OPEN), exported)))?.message ?? "taken", /resourceVersion/);
  delete exported.metadata.resourceVersion;
  const made = await api.create(callOf(OPEN), { ...exported, status: STATUS });
  assert.notEqual(made.metadata.uid, exported.metadata.uid);
  assert.equal(made.status, undefined);
});

test("a namespace that did not opt in takes none, and says how it would", SKIP, async () => {
  const error = await create(goodDocument(), CLOSED);
  assert.equal(error?.status, 403);
  assert.match(error.message, /needs the label chaos.ordermesh.dev\/enabled=true/);
});

test("who runs experiments must be allowed to delete pods, and cannot take the finalizer away", SKIP, async () => {
  const account = (name: string) => `--as=system:serviceaccount:${OPEN}:${name}`;
  const bind = (role: string, to: string) =>
    kubectl(
      "create",
      "rolebinding",
      `${role}-${to}`,
      "-n",
      OPEN,
      `--clusterrole=${role}`,
      `--serviceaccount=${OPEN}:${to}`,
    ).catch(() => "");
  await bind("chaos-runner", "weak");
  await bind("chaos-runner", "strong");
  await bind("edit", "strong");
  const file = `${ROOT}test/chaos-api/good.yaml`;
  const run = (as: string) => kubectl("create", "-f", file, "-n", OPEN, account(as), "--dry-run=server");
  await assert.rejects(run("weak"), /must be allowed to delete pods/);
  await assert.rejects(run("nobody"), /cannot create resource/);
  await run("strong");

  await stored("finalized");
  await change("finalized", { metadata: { finalizers: ["chaos.ordermesh.dev/heal", "example.org/other"] } });
  const take = (finalizers: string) =>
    kubectl(
      "patch",
      "cx",
      "finalized",
      "-n",
      OPEN,
      account("strong"),
      "--type=merge",
      "-p",
      `{"metadata":{"finalizers":${finalizers}}}`,
    );
  await assert.rejects(take("[]"), /goes when everything is healed/);
  await assert.rejects(take('["example.org/other"]'), /goes when everything is healed/);
  await take('["chaos.ordermesh.dev/heal"]');
  assert.equal(await change("finalized", { metadata: { finalizers: null } }), undefined, "who may finalize may");
});

test("a viewer sees and changes nothing", SKIP, async () => {
  await kubectl(
    "create",
    "rolebinding",
    "viewer",
    "-n",
    OPEN,
    "--clusterrole=chaos-viewer",
    `--serviceaccount=${OPEN}:viewer`,
  ).catch(() => "");
  const can = (verb: string, what: string) =>
    kubectl("auth", "can-i", verb, what, "-n", OPEN, `--as=system:serviceaccount:${OPEN}:viewer`).catch(() => "no");
  assert.equal(await can("list", "chaosexperiments.chaos.ordermesh.dev"), "yes");
  for (const verb of ["create", "patch", "delete"])
    assert.equal(await can(verb, "chaosexperiments.chaos.ordermesh.dev"), "no");
  assert.equal(await can("patch", "chaosexperiments.chaos.ordermesh.dev/status"), "no");
});
