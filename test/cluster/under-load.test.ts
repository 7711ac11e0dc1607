/** What customers see of an upgrade, a restart and a loss: orders all the while (CLUSTER_ORDERS_PER_S, 20), and the judge afterwards. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { buildImage, install, loadImage, untilReady } from "@ordermesh/cluster/cluster";
import { helm, kubectl, RELEASE, tool } from "@ordermesh/cluster/tools";
import type { DemoResult } from "../demo/demo.ts";
import { installed, judged, restarts } from "./harness.ts";

const { mode, tag: before } = await installed();
const LOAD_S = 45;

const SERVICES = ["payment", "inventory", "shipping", "notification", "order", "storefront", "auditor"] as const;

/** Helm watches: asking again and again would take CPU that the system needs. */
const UNTIL_READY = ["--wait", "--timeout", "5m"];
/** Helm keeps ten revisions, fewer than there are steps. */
const HISTORY = ["--history-max", String(4 * SERVICES.length)];

/** The image of this tree under another name, in the cluster. */
async function nextImage(): Promise<string> {
  const tag = await buildImage();
  await tool("docker", ["tag", `ordermesh:${tag}`, `ordermesh:${tag}-next`]);
  await loadImage(`${tag}-next`);
  return `${tag}-next`;
}

function report(t: TestContext, { load, verdict, restMs }: DemoResult): void {
  t.diagnostic(
    `${load.begun} orders: ${load.confirmed} confirmed, ${load.cancelled} cancelled, ${load.refused} refused, ${load.unknown} unknown, ${load.retries} asked again, ${load.unanswered} later calls unanswered; p50 ${load.p50Ms} ms, p99 ${load.p99Ms} ms; at rest after ${restMs} ms; ${verdict.verdict}`,
  );
}

function assertKept({ load, verdict, isAtRest }: DemoResult): void {
  assert.equal(verdict.verdict, "Passed", JSON.stringify(verdict.findings));
  assert.ok(isAtRest, "the system did not come to rest");
  assert.deepEqual({ refused: load.refused, unknown: load.unknown }, { refused: 0, unknown: 0 });
}

/** What was done was not seen by any customer. */
function assertUnseen(result: DemoResult): void {
  assertKept(result);
  assert.equal(result.load.retries, 0, "orders asked for again");
  assert.equal(result.load.unanswered, 0, "looks at orders, and orders placed once more, without an answer");
}

test("an upgrade to another image and the way back are seen by no customer", async (t) => {
  const tag = await nextImage();
  const result = await judged({ seed: 41, seconds: 2 * LOAD_S, say: (line) => t.diagnostic(line) }, async () => {
    await install(tag, "default", ["--reuse-values", ...UNTIL_READY]);
    await helm("rollback", RELEASE, ...UNTIL_READY);
  });
  report(t, result);
  assertUnseen(result);
});

test("an upgrade of one service after the other and the way back are seen by no customer", async (t) => {
  const tag = await nextImage();
  const { version: first } = JSON.parse(await helm("status", RELEASE, "--output", "json"));
  const steps = async () => {
    for (const service of SERVICES) {
      const own = ["--set-string", `services.${service}.tag=${tag}`];
      await install(before, "default", ["--reuse-values", ...own, ...HISTORY, ...UNTIL_READY]);
    }
    for (let revision = first + SERVICES.length - 1; revision >= first; revision -= 1) {
      await helm("rollback", RELEASE, String(revision), ...HISTORY, ...UNTIL_READY);
    }
  };
  const result = await judged({ seed: 44, seconds: 5 * LOAD_S, say: (line) => t.diagnostic(line) }, steps);
  report(t, result);
  assertUnseen(result);
});

test("a rollout restart of everything is seen by no customer", async (t) => {
  const restart = async () => {
    const all = ["deployment", "-l", `app.kubernetes.io/instance=${RELEASE}`];
    const names = (await kubectl("get", ...all, "-o", "name")).trim().split("\n");
    await kubectl("rollout", "restart", ...names);
    for (const name of names) await kubectl("rollout", "status", name, "--timeout", "5m");
  };
  const result = await judged({ seed: 42, seconds: 2 * LOAD_S, say: (line) => t.diagnostic(line) }, restart);
  report(t, result);
  assertUnseen(result);
});

test("each stateful part's pod is deleted under load: no order is lost, no card charged twice, no service restarts", async (t) => {
  const lose = async () => {
    const kafka = mode === "strimzi" ? `${RELEASE}-${RELEASE}-nodes-0` : `${RELEASE}-kafka-0`;
    for (const part of [`${RELEASE}-etcd-0`, `${RELEASE}-postgres-0`, kafka]) {
      await kubectl("delete", "pod", part, "--wait=false");
      await new Promise((resolve) => setTimeout(resolve, 12_000));
    }
    await untilReady(() => undefined);
  };
  const earlier = await restarts();
  // Strimzi's operators may have been: a restart of everything is theirs too.
  const ofOurs = earlier.filter((restart) => !restart.includes("-entity-operator-"));
  assert.deepEqual(ofOurs, []);
  const result = await judged({ seed: 43, seconds: LOAD_S, say: (line) => t.diagnostic(line) }, lose);
  report(t, result);
  assertKept(result);
  const restarted = (await restarts()).filter((restart) => !earlier.includes(restart));
  assert.deepEqual(restarted, []);
});
