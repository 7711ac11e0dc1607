import assert from "node:assert/strict";
import { test } from "node:test";
import { anEndpoint, newMetrics, silent } from "../test/fixtures.ts";
import { endpointKey } from "./endpoint.ts";
import { ManualClock } from "./manual-clock.ts";
import { MemoryStore } from "./memory-store.ts";
import { LEASE_TTL_S, Registrar } from "./registrar.ts";
import type { Lease, Store } from "./store.ts";

const endpoint = anEndpoint("echo-1");
const KEY = endpointKey("/mesh", endpoint);
const TTL_MS = LEASE_TTL_S * 1_000;

function newRegistrar({ chance = 0.5, wrap = (store: Store) => store } = {}) {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  let entries: ReadonlyMap<string, string> = new Map();
  store.subscribe("/mesh/", (snapshot) => {
    entries = snapshot.entries;
  });
  const random = () => chance;
  const registrar = new Registrar({
    store: wrap(store),
    prefix: "/mesh",
    clock,
    random,
    log: silent,
    metrics: newMetrics(),
  });
  /** Whether the store still holds the endpoint, once leases that are over have ended. */
  const isListed = () => {
    store.expire();
    return entries.has(KEY);
  };
  return { clock, store, registrar, isListed };
}

test("a registered endpoint stays listed for as long as the process lives", async () => {
  for (const chance of [0, 0.999]) {
    const { clock, registrar, isListed } = newRegistrar({ chance });
    registrar.register(endpoint);
    for (let second = 0; second < 120; second += 1) {
      await clock.advance(1_000);
      assert.equal(isListed(), true, `after ${second} s`);
    }
    assert.equal(registrar.state.kind, "registered");
  }
});

test("a process that stops renewing is gone after one TTL", async () => {
  const { clock, store, registrar, isListed } = newRegistrar();
  registrar.register(endpoint);
  await clock.advance(0);
  store.setReachable(false);
  await clock.advance(TTL_MS);
  store.expire();
  store.setReachable(true);
  assert.equal(isListed(), false);
});

test("a store that is away at the start is tried until it is there, then registration takes less than a second", async () => {
  const { clock, store, registrar, isListed } = newRegistrar({ chance: 0.999 });
  store.setReachable(false);
  registrar.register(endpoint);
  await clock.advance(120_000);
  assert.equal(registrar.state.kind, "registering");
  store.setReachable(true);
  await clock.advance(1_000);
  assert.equal(isListed(), true);
});

test("a short outage of the store costs no registration", async () => {
  const { clock, store, registrar, isListed } = newRegistrar();
  registrar.register(endpoint);
  await clock.advance(0);
  store.setReachable(false);
  await clock.advance(7_000);
  store.setReachable(true);
  await clock.advance(1_000);
  await clock.advance(TTL_MS - 1_500);
  assert.equal(isListed(), true);
});

test("after a long outage the endpoint is back in less than a second, on a lease of its own", async () => {
  const { clock, store, registrar, isListed } = newRegistrar({ chance: 0.999 });
  registrar.register(endpoint);
  await clock.advance(0);
  store.setReachable(false);
  await clock.advance(60_000);
  assert.equal(registrar.state.kind, "registering");
  store.setReachable(true);
  await clock.advance(1_000);
  assert.equal(isListed(), true, "the old lease ended without taking the endpoint along");
});

test("a lease that the store has forgotten is noticed at the next renewal, and replaced", async () => {
  const { clock, store, registrar, isListed } = newRegistrar({ chance: 0.999 });
  registrar.register(endpoint);
  await clock.advance(0);
  store.wipe();
  assert.equal(isListed(), false);
  await clock.advance(TTL_MS / 2);
  assert.equal(isListed(), true);
});

test("deregistering removes the endpoint at once and for good", async () => {
  const { clock, registrar, isListed } = newRegistrar();
  registrar.register(endpoint);
  await clock.advance(0);
  await registrar.deregister();
  assert.equal(isListed(), false);
  await clock.advance(60_000);
  assert.equal(isListed(), false);
  assert.equal(registrar.state.kind, "closed");
});

test("deregistering is tried again when the store does not answer at once", async () => {
  const { clock, store, registrar, isListed } = newRegistrar();
  registrar.register(endpoint);
  await clock.advance(0);
  store.setReachable(false);
  const done = registrar.deregister();
  await clock.advance(1_000);
  store.setReachable(true);
  assert.equal(isListed(), true);
  await clock.advance(100);
  await done;
  assert.equal(isListed(), false);
});

test("deregistering neither fails nor takes longer than two seconds, whatever the store does", async () => {
  const never = () => new Promise<never>(() => undefined);
  const fails = () => Promise.reject(new Error("away"));
  for (const revoke of [never, fails]) {
    const { clock, registrar } = newRegistrar({
      wrap: (store) => withGrant(store, async (ttlS) => ({ ...(await store.grant(ttlS)), revoke })),
    });
    registrar.register(endpoint);
    await clock.advance(0);
    const done = registrar.deregister();
    await clock.advance(2_000);
    await done;
  }
});

test("a registration that was under way when the process stops leaves nothing behind", async () => {
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const { clock, registrar, isListed } = newRegistrar({
    wrap: (store) => withGrant(store, (ttlS) => gate.then(() => store.grant(ttlS))),
  });
  registrar.register(endpoint);
  await registrar.deregister();
  open();
  await clock.advance(0);
  assert.equal(isListed(), false);
  assert.equal(registrar.state.kind, "closed");
});

test("a second registration is a bug", () => {
  const { registrar } = newRegistrar();
  registrar.register(endpoint);
  assert.throws(() => registrar.register(endpoint), /once/);
});

function withGrant(store: Store, grant: (ttlS: number) => Promise<Lease>): Store {
  return { grant, subscribe: (prefix, onSnapshot) => store.subscribe(prefix, onSnapshot), close: () => store.close() };
}
