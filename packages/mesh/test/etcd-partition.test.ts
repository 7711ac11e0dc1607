/** A member of an etcd cluster that the network has cut off from the others, while its clients still reach it. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Clock, systemClock } from "../src/clock.ts";
import { connectEtcd } from "../src/etcd.ts";
import { EtcdDocuments } from "../src/etcd-documents.ts";
import { newEtcd, newSystem, skip } from "./etcd-system.ts";
import { eventually, newMetrics, silent } from "./fixtures.ts";
import { PeerNetwork } from "./peer-network.ts";

const HURRY = 10;
/** The minute until the next listing is six seconds. */
const hurried: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms > 30_000 ? ms / HURRY : ms, signal),
};
const KEY = "/partition/key";

/** A cluster of three whose last member can be cut off. */
async function newCluster(t: TestContext) {
  const network = await PeerNetwork.open(t, 3);
  const { members, endpoints } = await newEtcd(t, 3, network.addresses, (ports) => {
    network.targets = ports;
  });
  const lost = endpoints.at(-1) ?? "";
  const id = await idOf(lost);
  return { members, endpoints, lost, healthy: endpoints.slice(0, -1), cutOff: () => network.isolate(2, id), network };
}

/** A member's id, as the members write it to each other. */
async function idOf(endpoint: string): Promise<string> {
  const answer = await fetch(`${endpoint}/v3/maintenance/status`, { method: "POST", body: "{}" });
  const { header } = (await answer.json()) as { header: { member_id: string } };
  return BigInt(header.member_id).toString(16);
}

/** What a follower has seen last, and why it listed anew. */
function follow(t: TestContext, endpoints: readonly string[]) {
  const metrics = newMetrics();
  const store = connectEtcd({ endpoints, clock: hurried, random: Math.random, log: silent, metrics });
  t.after(() => store.close());
  let seen: string | undefined;
  store.subscribe("/partition/", ({ entries }) => {
    seen = entries.get(KEY);
  });
  const hasFailed = async () =>
    (await metrics.resyncs.get()).values.some(({ labels }) => labels.reason === "list-failed");
  return { seen: () => seen, hasFailed };
}

test("whoever follows a member that is cut off is silent, and learns all from another, or once it is back", {
  skip,
}, async (t) => {
  const { endpoints, lost, healthy, cutOff, network } = await newCluster(t);
  const documents = new EtcdDocuments(healthy);
  t.after(() => documents.close());
  await documents.write({ puts: { [KEY]: "before" } });
  const [alone, ofAll] = [follow(t, [lost]), follow(t, endpoints)];
  await eventually("the value", () => alone.seen() === "before" && ofAll.seen() === "before");
  cutOff();
  await systemClock.sleep(2_000); // The others have chosen a leader when the lost one was it.
  await documents.write({ puts: { [KEY]: "after" } });
  await eventually("the value through another member", () => ofAll.seen() === "after");
  assert.equal(alone.seen(), "before");
  for (const endsMs = systemClock.nowMs() + 30_000; !(await alone.hasFailed()); await systemClock.sleep(50))
    assert.ok(systemClock.nowMs() < endsMs, "a member without a leader must not answer a listing");
  assert.equal(alone.seen(), "before");
  network.heal();
  await eventually("the value through the member that is back", () => alone.seen() === "after");
});

test("a member that is cut off fails no call and holds up no registration for long", { skip }, async (t) => {
  const { endpoints, cutOff, network } = await newCluster(t);
  const { register, isListed, end } = await newSystem(t, endpoints);
  cutOff();
  const registrar = await register("echo-2");
  // Who listed before it would learn of it by a watch, which is silent for a minute at the member that is cut off.
  await eventually("the registration", () => registrar.state.kind === "registered");
  await isListed("echo-1", "echo-2");
  network.heal();
  await end();
});
