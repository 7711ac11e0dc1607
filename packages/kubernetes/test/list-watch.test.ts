import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { systemClock } from "@ordermesh/mesh/clock";
import { FakeApiServer } from "../src/fake-api-server.ts";
import { newKubeApi, pathOf } from "../src/kube-api.ts";
import { isStatus, KubeError } from "../src/kube-error.ts";
import { ListWatch } from "../src/list-watch.ts";

const PODS = pathOf("v1", "shop", "pods");
const QUIET = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
/** Pauses are short, so that a test waits for what happens and not for time. */
const clock = {
  ...systemClock,
  sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 20), signal),
};

let server: FakeApiServer;
let watch: ListWatch;
let changes: string[];

const api = () => newKubeApi({ server: server.url, authorize: async () => undefined }, 2_000);

beforeEach(async () => {
  server = await FakeApiServer.start();
  changes = [];
});
afterEach(async () => {
  await watch?.stop();
  await server.stop();
});

function follow(silenceMs?: number): void {
  const onChange = (name: string) => void changes.push(name);
  const options = { api: api(), path: PODS, clock, random: () => 0.5, log: QUIET, onChange };
  watch = new ListWatch(silenceMs === undefined ? options : { ...options, silenceMs });
  watch.start();
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const endsMs = performance.now() + 5_000;
  while (!holds()) {
    assert.ok(performance.now() < endsMs, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const lists = () => server.requests.filter((line) => line === `GET ${PODS}`).length;

test("what is there is listed, and what changes is heard", async () => {
  server.put(`${PODS}/a`, {});
  follow();
  await until("a is listed", () => watch.get("a") !== undefined);
  await until("the watch is open", () => server.openWatches === 1);
  server.put(`${PODS}/b`, {});
  await until("b is heard", () => watch.get("b") !== undefined);
  server.delete(`${PODS}/a`);
  await until("a is gone", () => watch.get("a") === undefined);
  assert.deepEqual(changes, ["a", "b", "a"]);
});

for (const [what, disturb] of [
  ["a watch that is cut", () => server.cutWatches()],
  ["a watch that ends in half a line", () => server.cutWatches('{"type":"MODIFIED","object":{"meta')],
  ["a line that is no event", () => server.cutWatches('{"type":"MODIFIED"}\n')],
  [
    "a revision that was forgotten",
    () => {
      server.forgetRevisions();
      server.cutWatches();
    },
  ],
  [
    "a server that answers 500, then 429, then nothing",
    () => {
      for (const status of [500, 429, 0]) server.trouble({ method: "GET", path: /pods$/, status, times: 1 });
      server.cutWatches();
    },
  ],
] as const)
  test(`${what} is followed by a list that finds what happened meanwhile`, async () => {
    server.put(`${PODS}/a`, {});
    follow();
    await until("the watch is open", () => server.openWatches === 1);
    disturb();
    server.delete(`${PODS}/a`);
    server.put(`${PODS}/b`, {});
    await until("b instead of a", () => watch.get("b") !== undefined && watch.get("a") === undefined);
    assert.ok(lists() >= 2);
    assert.ok(changes.includes("a") && changes.includes("b"));
  });

test("a silent watch is given up for a list", async () => {
  follow(100);
  await until("the watch is open", () => server.openWatches === 1);
  server.silenceWatches();
  server.put(`${PODS}/b`, {});
  await until("b is listed", () => watch.get("b") !== undefined);
});

test("a pod that was deleted and made again in a gap has another uid", async () => {
  const { metadata } = server.put(`${PODS}/a`, {});
  follow();
  await until("the watch is open", () => server.openWatches === 1);
  server.silenceWatches();
  server.delete(`${PODS}/a`);
  server.put(`${PODS}/a`, {});
  server.cutWatches();
  await until("another uid", () => watch.get("a") !== undefined && watch.get("a").metadata.uid !== metadata.uid);
});

test("refusals come with Kubernetes' status and reason, silence as no answer", async () => {
  const refused = (error: unknown) => isStatus(error, 409) && error.reason === "Conflict";
  const { metadata } = server.put(`${PODS}/a`, {});
  await assert.rejects(api().remove({ path: `${PODS}/a` }, { preconditions: { uid: "another" } }), refused);
  await assert.rejects(api().patch({ path: `${PODS}/a` }, "merge", { metadata: { resourceVersion: "1" } }), refused);
  await assert.rejects(api().get({ path: `${PODS}/none` }), (error) => isStatus(error, 404));
  server.trouble({ method: "GET", path: /a$/, status: 0, times: 1 });
  await assert.rejects(api().get({ path: `${PODS}/a` }), (error) => error instanceof KubeError && error.status === 0);
  assert.equal((await api().get({ path: `${PODS}/a` })).metadata.uid, metadata.uid);
});

test("parts of a path cannot leave it", () =>
  assert.equal(
    pathOf("apps/v1", "a/../b", "deployments", "x?y"),
    "/apis/apps/v1/namespaces/a%2F..%2Fb/deployments/x%3Fy",
  ));
