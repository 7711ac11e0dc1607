/**
 * Experiments on the running system: `make up ARGS=--chaos` first, as the tests are skipped without the controller. The last one takes the
 * release away in the middle of an experiment, and brings it back.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { API_VERSION, KIND } from "@ordermesh/chaos/experiment";
import type { ExperimentStatus, Phase } from "@ordermesh/chaos/status";
import { install, untilReady } from "@ordermesh/cluster/cluster";
import { helm, kubectl, RELEASE, ROOT, tool } from "@ordermesh/cluster/tools";
import { parse } from "yaml";
import { installed } from "./harness.ts";

const END_MS = 300_000;
const POLL_MS = 250;
/** A phase may be over before it is looked at, and is met in another run of the experiment. */
const MAX_RUNS = 4;
const CONTROLLER = `app.kubernetes.io/component=chaos,app.kubernetes.io/instance=${RELEASE}`;
/** What kill-payment asks for. */
const KILLS = 3;
/** Longer than a lease lives, and less than the kubelet's patience with a process that does not answer. */
const TAKEOVER_MS = 25_000;
/** One of each kind of trace: a rule in etcd, a label on pods, a process that is told to stand still. */
const FILES = ["abort-payment", "partition-payment-etcd", "freeze-payment"];
const PHASES: readonly Phase[] = ["Baseline", "Running", "Healing", "Recovering", "Judging"];

const { tag, mode } = await installed();
const isThere = (await kubectl("get", "deployments", "-l", CONTROLLER, "-o", "name")) !== "";
const skip = isThere ? false : "no controller: make up ARGS=--chaos";

async function make(file: string, name: string, spec: object = {}): Promise<void> {
  const document = parse(readFileSync(join(ROOT, "k8s/chaos", `${file}.yaml`), "utf8"));
  await apply({ apiVersion: API_VERSION, kind: KIND, metadata: { name }, spec: { ...document.spec, ...spec } });
}

async function apply(document: object): Promise<void> {
  await tool("bash", [
    "-c",
    `kubectl --context kind-ordermesh -n ordermesh apply -f - <<'END'\n${JSON.stringify(document)}\nEND`,
  ]);
}

async function statusOf(name: string): Promise<ExperimentStatus | undefined> {
  const text = await kubectl("get", "cx", name, "--ignore-not-found", "-o", "json");
  return text === "" ? undefined : JSON.parse(text).status;
}

/** Resolves with the first status that is as wanted. */
async function until(name: string, isWanted: (status: ExperimentStatus) => boolean): Promise<ExperimentStatus> {
  const endsMs = performance.now() + END_MS;
  for (;;) {
    const status = await statusOf(name);
    if (status !== undefined && isWanted(status)) return status;
    if (performance.now() > endsMs) throw new Error(`${name} stays ${status?.phase}: ${status?.message}`);
    await sleep(POLL_MS);
  }
}

const isOver = ({ completionTime }: ExperimentStatus) => completionTime !== undefined;

/** The pod of the controller that leads. */
function holder(): Promise<string> {
  return kubectl("get", "lease", "ordermesh-chaos", "-o", "jsonpath={.spec.holderIdentity}");
}

/** To the process of a pod with one container, on the pod's node. */
async function signalPod(pod: string, signal: "STOP" | "CONT"): Promise<void> {
  const node = await kubectl("get", "pod", pod, "-o", "jsonpath={.spec.nodeName}");
  const script = `kill -${signal} $(grep -ls HOSTNAME=${pod} /proc/[0-9]*/environ | cut -d/ -f3)`;
  await tool("docker", ["exec", node, "sh", "-c", script]);
}

async function remove(name: string): Promise<void> {
  await kubectl("delete", "cx", name, "--ignore-not-found", "--timeout=120s");
}

/** Fault rules and policies in etcd, labels on pods, workloads that an experiment has stopped. */
async function leftovers(): Promise<string[]> {
  const [rules, cut, stopped] = await Promise.all([
    kubectl("exec", `${RELEASE}-etcd-0`, "--", "etcdctl", "get", "--prefix", "--keys-only", "/ordermesh/faults/"),
    kubectl("get", "pods", "-l", "chaos.ordermesh.dev/cut", "-o", "name"),
    kubectl("get", "deployments,statefulsets", "-o", "json").then((text) =>
      JSON.parse(text)
        .items.filter(({ spec }: { spec: { replicas: number } }) => spec.replicas === 0)
        .map(({ metadata }: { metadata: { name: string } }) => metadata.name)
        .join("\n"),
    ),
  ]);
  return [rules, cut, stopped].flatMap((text) => text.split("\n")).filter((line) => line !== "");
}

for (const file of FILES)
  test(`${file}: its controller killed in every phase injects no more than asked, and leaves nothing`, {
    skip,
  }, async (t) => {
    const name = `killed-${file}`;
    const left = new Set(PHASES);
    for (let run = 1; left.size > 0; run += 1) {
      assert.ok(run <= MAX_RUNS, `not killed in ${[...left].join(", ")}`);
      await remove(name);
      await make(file, name);
      const killed = await killInEach(name, left);
      const { verdict, reason, message, targets, invariants = [] } = await until(name, isOver);
      t.diagnostic(`killed in ${killed.join(", ")}; ${verdict} ${reason}: ${message}`);
      const once = new Set(targets.map(({ uid, round }) => `${uid} ${round}`));
      assert.equal(once.size, targets.length);
      assert.ok(targets.every(({ state }) => state === "Healed"));
      assert.deepEqual(
        invariants.filter(({ held }) => held === "False"),
        [],
      );
      assert.deepEqual(await leftovers(), []);
    }
    await remove(name);
  });

/** Kills the controller once in each of these phases that it is met in, and takes them off. Resolves with those. */
async function killInEach(name: string, left: Set<Phase>): Promise<Phase[]> {
  const killed: Phase[] = [];
  for (;;) {
    const status = await until(name, (now) => left.has(now.phase) || isOver(now));
    if (isOver(status)) return killed;
    await kubectl("delete", "pods", "-l", CONTROLLER, "--grace-period=0", "--force");
    left.delete(status.phase);
    killed.push(status.phase);
  }
}

test("an abort heals within five seconds, and says who asked for it", { skip }, async (t) => {
  await remove("aborted");
  await make("abort-payment", "aborted");
  await until("aborted", ({ phase }) => phase === "Running");
  const askedMs = Date.now();
  await kubectl("patch", "cx", "aborted", "--type", "merge", "-p", '{"spec":{"abort":true}}');
  const healing = await until("aborted", ({ targets }) => targets.some(({ state }) => state === "Healed"));
  const healedMs = Date.parse(healing.targets[0]?.healedAt ?? "");
  t.diagnostic(`${healedMs - askedMs} ms from the request to the heal`);
  assert.ok(healedMs - askedMs <= 5_000);
  const { verdict, reason, phase } = await until("aborted", isOver);
  assert.deepEqual([phase, verdict, reason], ["Aborted", "Inconclusive", "AbortedByUser"]);
  assert.deepEqual(await leftovers(), []);
  await remove("aborted");
});

test("the safety lever ends what runs and refuses what is new", { skip }, async (t) => {
  await remove("levered");
  await make("partition-payment-etcd", "levered");
  await until("levered", ({ phase }) => phase === "Running");
  await kubectl("create", "configmap", "chaos-safety", "--from-literal", "stop=true");
  t.after(() => kubectl("delete", "configmap", "chaos-safety", "--ignore-not-found"));
  const { verdict, reason } = await until("levered", isOver);
  assert.equal(verdict, "Inconclusive");
  t.diagnostic(String(reason));
  assert.deepEqual(await leftovers(), []);
  await remove("levered");
  await make("abort-payment", "levered");
  const refused = await until("levered", isOver);
  assert.deepEqual([refused.verdict, refused.targets], ["Inconclusive", []]);
  await remove("levered");
});

test("a leader that stands still is followed by the other controller, and does nothing twice when it wakes", {
  skip,
}, async (t) => {
  const controllers = (count: number) => kubectl("scale", `deployment/${RELEASE}-chaos`, `--replicas=${count}`);
  const payments = async () =>
    (await kubectl("get", "pods", "-l", "app.kubernetes.io/component=payment", "-o", "name")).split("\n");
  await controllers(2);
  await kubectl("rollout", "status", `deployment/${RELEASE}-chaos`, "--timeout", "2m");
  await remove("followed");
  t.after(async () => {
    await remove("followed");
    await controllers(1);
  });
  const before = await payments();
  const seen = new Set<string>();
  // From the beginning: one that came may be killed in its turn before the other controller leads.
  const looking = setInterval(() => {
    void payments().then(
      (names) => names.map((name) => seen.add(name)),
      () => undefined,
    );
  }, 1_000);
  t.after(() => clearInterval(looking));
  await make("kill-payment", "followed", { durationSeconds: 60, deadlineSeconds: 300 });
  await until("followed", ({ targets }) => targets.some(({ state }) => state === "Injected"));
  const leader = await holder();
  await signalPod(leader, "STOP");
  const startedMs = performance.now();
  const endsMs = startedMs + TAKEOVER_MS;
  while ((await holder()) === leader && performance.now() < endsMs) await sleep(POLL_MS);
  t.diagnostic(`another one leads after ${((performance.now() - startedMs) / 1_000).toFixed(1)} s`);
  await signalPod(leader, "CONT");
  assert.notEqual(await holder(), leader);
  const { verdict, reason, message, targets } = await until("followed", isOver);
  t.diagnostic(`${verdict} ${reason}: ${message}`);
  const made = [...seen].filter((name) => !before.includes(name)).length;
  assert.deepEqual([targets.length, made], [KILLS, KILLS], "pods that were killed, and pods that came for them");
  assert.equal(new Set(targets.map(({ uid }) => uid)).size, KILLS);
  assert.deepEqual(await leftovers(), []);
});

test("an uninstall in the middle of an experiment heals first, and nothing is stuck", { skip }, async (t) => {
  await remove("uninstalled");
  await make("partition-payment-etcd", "uninstalled", { durationSeconds: 120, deadlineSeconds: 400 });
  await until("uninstalled", ({ phase }) => phase === "Running");
  const startedMs = performance.now();
  await helm("uninstall", RELEASE, "--wait", "--timeout", "5m");
  t.diagnostic(`uninstalled in ${((performance.now() - startedMs) / 1_000).toFixed(0)} s`);
  assert.equal(await kubectl("get", "cx", "--ignore-not-found", "-o", "name"), "");
  const values = `kafka.mode=${mode},chaos.enabled=true,chaos.failpoints=true`;
  await install(tag, "default", ["--set", values]);
  await untilReady(() => undefined);
  await helm("test", RELEASE, "--timeout", "2m");
});
