import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { systemClock } from "@ordermesh/mesh/clock";
import { FakeApiServer } from "../src/fake-api-server.ts";
import { newKubeApi, pathOf } from "../src/kube-api.ts";
import { LeaseElection } from "../src/lease-election.ts";

const LEASE = pathOf("coordination.k8s.io/v1", "shop", "leases", "leader");
const QUIET = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const SPEED = 20;

let server: FakeApiServer;
let stop: AbortController;

beforeEach(async () => {
  server = await FakeApiServer.start();
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await server.stop();
});

/** `pausedMs` is added to its clock: as if it had stood still for so long. */
function candidate(identity: string) {
  const paused = { ms: 0 };
  const clock = {
    nowMs: () => performance.now() * SPEED + paused.ms,
    wallMs: () => Date.now(),
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / SPEED, signal),
  };
  const api = newKubeApi({ server: server.url, authorize: async () => undefined }, 500);
  const options = { api, namespace: "shop", name: "leader", identity, clock, random: () => 0.5, log: QUIET };
  return { election: new LeaseElection(options), paused };
}

const isLed = async (promise: Promise<boolean>, withinMs: number) =>
  await Promise.race([promise, systemClock.sleep(withinMs).then(() => false)]);

test("one of two leads; the other one waits as long as it renews", async () => {
  const [a, b] = [candidate("a"), candidate("b")];
  const first = a.election.acquire(stop.signal);
  assert.equal(await first, true);
  const { spec } = server.get(LEASE);
  assert.deepEqual([spec.holderIdentity, spec.leaseDurationSeconds, spec.leaseTransitions], ["a", 15, 1]);
  assert.match(spec.renewTime, /\.\d{6}Z$/, "a lease's times have microseconds");
  void a.election.hold(stop.signal);
  assert.equal(await isLed(b.election.acquire(stop.signal), 1_500), false);
  assert.equal(a.election.isLeading(), true);
  assert.equal(b.election.isLeading(), false);
});

test("one that dies is followed after the lease's time, and not before", async () => {
  const [a, b] = [candidate("a"), candidate("b")];
  await a.election.acquire(stop.signal);
  const waiting = b.election.acquire(stop.signal);
  assert.equal(await isLed(waiting, 500), false, "10 s have passed");
  assert.equal(await isLed(waiting, 2_000), true);
  assert.equal(server.get(LEASE).spec.leaseTransitions, 2);
  assert.equal(await a.election.hold(stop.signal), "lost");
});

test("one that stood still knows at once that it may not lead any more", async () => {
  const a = candidate("a");
  await a.election.acquire(stop.signal);
  assert.equal(a.election.isLeading(), true);
  a.paused.ms = 10_000;
  assert.equal(a.election.isLeading(), false);
});

test("one that cannot renew gives up before another may take the lease", async () => {
  const [a, b] = [candidate("a"), candidate("b")];
  await a.election.acquire(stop.signal);
  const held = a.election.hold(stop.signal);
  server.trouble({ method: "PUT", path: /leases/, status: 500, times: 1_000 });
  assert.equal(await held, "lost");
  assert.equal(a.election.isLeading(), false);
  assert.equal(server.get(LEASE).spec.holderIdentity, "a");
  assert.equal(b.election.isLeading(), false);
});

test("one trouble while renewing is none", async () => {
  const a = candidate("a");
  await a.election.acquire(stop.signal);
  const held = a.election.hold(stop.signal);
  server.trouble({ method: "PUT", path: /leases/, status: 409, times: 2 });
  await systemClock.sleep(700);
  assert.equal(a.election.isLeading(), true);
  stop.abort();
  assert.equal(await held, "stopped");
});

test("one that ends gives the lease up, and the next one need not wait", async () => {
  const [a, b] = [candidate("a"), candidate("b")];
  await a.election.acquire(stop.signal);
  await a.election.release();
  assert.equal(server.get(LEASE).spec.holderIdentity, "");
  assert.equal(await isLed(b.election.acquire(stop.signal), 100), true);
});
