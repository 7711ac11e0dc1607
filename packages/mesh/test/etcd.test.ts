/** Real etcd behind a network that fails: what its client library gets wrong must not show above the store. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import { type Clock, systemClock } from "../src/clock.ts";
import { endpointKey } from "../src/endpoint.ts";
import { connectEtcd } from "../src/etcd.ts";
import { Registrar } from "../src/registrar.ts";
import type { Snapshot, Store } from "../src/store.ts";
import { ETCD_ADDRESS, etcd, skip } from "./etcd-address.ts";
import { anEndpoint, eventually, newMetrics, silent } from "./fixtures.ts";
import { TcpProxy } from "./tcp-proxy.ts";

async function newStore(t: TestContext, clock = systemClock) {
  const proxy = new TcpProxy(ETCD_ADDRESS ?? "");
  const metrics = newMetrics();
  const endpoints = [`http://${await proxy.listen()}`];
  const store = connectEtcd({ endpoints, clock, random: Math.random, log: silent, metrics });
  t.after(() => {
    store.close();
    proxy.close();
  });
  const prefix = `/test/${randomUUID()}/`;
  const reasons = async () => (await metrics.resyncs.get()).values.map(({ labels }) => labels.reason);
  return { proxy, store, prefix, reasons, metrics };
}

/** Time-outs never pass, so there is one listing and one watch, as long as nothing breaks. */
const patient: Clock = {
  ...systemClock,
  sleep: (_ms, signal) => new Promise((resolve) => signal?.addEventListener("abort", () => resolve())),
};

/** Follows one counter under the prefix; `shows` resolves once its value is the last snapshot's. */
function followCounter(store: Store, prefix: string) {
  const snapshots: Snapshot[] = [];
  store.subscribe(prefix, (snapshot) => snapshots.push(snapshot));
  const value = () => snapshots.at(-1)?.entries.get(`${prefix}counter`);
  return {
    snapshots,
    value,
    set: (to: number) => etcd.put(`${prefix}counter`, String(to)),
    shows: (expected: number) => eventually(`the counter ${expected}`, () => value() === String(expected)),
  };
}

test("an etcd that is away at the start is listed as soon as it is there", { skip }, async (t) => {
  const { proxy, store, prefix, reasons } = await newStore(t);
  proxy.mode = "refuse";
  const counter = followCounter(store, prefix);
  await counter.set(1);
  await eventually("several tries", () => proxy.accepted >= 3);
  assert.equal(counter.snapshots.length, 0);
  proxy.mode = "pass";
  await counter.shows(1);
  assert.deepEqual(await reasons(), ["list-failed"]);
});

test("no change is lost however often the connection breaks", { skip }, async (t) => {
  const { proxy, store, prefix } = await newStore(t);
  const counter = followCounter(store, prefix);
  await counter.set(0);
  await counter.shows(0);
  for (let round = 1; round <= 20; round += 1) {
    proxy.cut();
    await counter.set(round);
    if (round % 5 === 0) await counter.shows(round); // In between, the connection breaks at any stage of coming back.
  }
  const values = counter.snapshots.map(({ entries }) => Number(entries.get(`${prefix}counter`) ?? 0));
  assert.deepEqual(
    values,
    values.toSorted((a, b) => a - b),
    "never back in time",
  );
});

test("a watch that is cut right after it was opened loses nothing", { skip }, async (t) => {
  const { proxy, store, prefix } = await newStore(t);
  let cuts = 0;
  proxy.onConnection = () => {
    if (cuts < 6) setTimeout(() => proxy.cut(), 2 * cuts++); // Each one, later and later, so that a listing gets through too.
  };
  const counter = followCounter(store, prefix);
  await eventually("a listing", () => counter.snapshots.length > 0);
  await counter.set(1);
  await counter.shows(1);
  await eventually("all cuts", () => cuts === 6);
  await counter.set(2);
  await counter.shows(2);
});

test("history that was compacted past a watch is not missed", { skip }, async (t) => {
  const { proxy, store, prefix } = await newStore(t);
  const counter = followCounter(store, prefix);
  await counter.set(1);
  await etcd.put(`${prefix}gone`, "1");
  await counter.shows(1);
  proxy.mode = "refuse";
  proxy.cut();
  await etcd.delete(`${prefix}gone`);
  await etcd.compact(await counter.set(2));
  proxy.mode = "pass";
  await counter.shows(2);
  assert.equal(counter.snapshots.at(-1)?.entries.has(`${prefix}gone`), false);
});

test("a watch that has to catch up on thousands of changes gets them all", { skip }, async (t) => {
  const { proxy, store, prefix } = await newStore(t, patient);
  proxy.onConnection = (number) => {
    proxy.mode = number === 2 ? "stall" : "pass"; // Lists, then waits with its watch.
  };
  const counter = followCounter(store, prefix);
  await eventually("the watch's connection", () => proxy.accepted === 2);
  for (let index = 0; index < 2_500; index += 50)
    await Promise.all(Array.from({ length: 50 }, (_, offset) => etcd.put(`${prefix}${index + offset}`, "")));
  await counter.set(1);
  proxy.resume();
  await counter.shows(1);
  assert.equal(counter.snapshots.at(-1)?.entries.size, 2_501);
});

test("a frozen etcd fails commands within their deadline, and a thawed one works again at once", {
  skip,
}, async (t) => {
  const { proxy, store, prefix } = await newStore(t);
  const counter = followCounter(store, prefix);
  await counter.set(1);
  await counter.shows(1);
  const lease = await store.grant(60);
  proxy.mode = "stall";
  proxy.stall();
  const startedMs = systemClock.nowMs();
  const away = { kind: "unavailable", reason: "STORE_UNAVAILABLE" };
  await Promise.all([assert.rejects(lease.keepAlive(), away), assert.rejects(store.grant(60), away)]);
  const tookMs = systemClock.nowMs() - startedMs;
  assert.ok(tookMs < 4_000, `${tookMs} ms`);
  await counter.set(2);
  assert.equal(counter.value(), "1");
  proxy.mode = "pass";
  proxy.resume();
  await counter.shows(2);
  assert.equal(await lease.keepAlive(), true);
  await lease.revoke();
});

test("a watch that is never answered is given up", { skip }, async (t) => {
  const { proxy, store, prefix, reasons } = await newStore(t);
  proxy.onConnection = (number) => {
    proxy.mode = number === 2 ? "stall" : "pass"; // The second connection is the watch's.
  };
  const counter = followCounter(store, prefix);
  await eventually("the watch's connection", () => proxy.accepted === 2);
  await counter.set(1);
  await counter.shows(1);
  assert.deepEqual(await reasons(), ["watch-unanswered"]);
});

test("a watch whose connection has gone silent is replaced", { skip }, async (t) => {
  const { proxy, store, prefix, reasons } = await newStore(t);
  const counter = followCounter(store, prefix);
  await eventually("a listing", () => counter.snapshots.length > 0);
  await counter.set(1);
  await counter.shows(1);
  proxy.stall();
  await counter.set(2);
  await counter.shows(2);
  assert.deepEqual(await reasons(), ["disconnected"]);
});

test("a registered process is listed, comes back when its lease is lost, and leaves at once", { skip }, async (t) => {
  const { proxy, store, prefix, metrics } = await newStore(t);
  const endpoint = anEndpoint("echo-1");
  const key = endpointKey(prefix, endpoint);
  const registrar = new Registrar({ store, prefix, clock: systemClock, random: Math.random, log: silent, metrics });
  let isListed = false;
  store.subscribe(prefix, ({ entries }) => {
    isListed = entries.has(key);
  });
  t.after(() => registrar.deregister());
  registrar.register(endpoint);
  await eventually("the endpoint", () => isListed);
  const { lease } = await eventually(
    "the registration",
    () => registrar.state.kind === "registered" && registrar.state,
  );
  await lease.revoke();
  await eventually("the loss", () => !isListed);
  await eventually("the endpoint again", () => isListed);
  proxy.cut();
  await eventually("the registration to hold", () => registrar.state.kind === "registered");
  await registrar.deregister();
  const { entries } = await new Promise<Snapshot>((resolve) => store.subscribe(prefix, resolve));
  assert.equal(entries.size, 0);
});
