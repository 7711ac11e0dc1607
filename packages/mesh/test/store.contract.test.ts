/** What every store must do: the same tests on the one in memory and on real etcd, so that the fake stays honest. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import { systemClock } from "../src/clock.ts";
import { connectEtcd } from "../src/etcd.ts";
import { ManualClock } from "../src/manual-clock.ts";
import { MemoryStore } from "../src/memory-store.ts";
import type { Snapshot, Store } from "../src/store.ts";
import { ETCD_ADDRESS, etcd, skip } from "./etcd-address.ts";
import { eventually, newMetrics, silent } from "./fixtures.ts";
import { TcpProxy } from "./tcp-proxy.ts";

/** A store under test, and the world around it. */
type Subject = {
  readonly store: Store;
  /** All keys of the test begin with this. */
  readonly prefix: string;
  /** Changes a key without the store under test. */
  put(key: string, value: string): Promise<unknown>;
  delete(key: string): Promise<unknown>;
  setReachable(isReachable: boolean): void;
  /** Lets so much time pass that a lease of 2 s is over. */
  endLeases(): Promise<void>;
};

const MIN_TTL_S = 2;

function inMemory(): Subject {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  return {
    store,
    prefix: "/test/",
    put: async (key, value) => store.put(key, value),
    delete: async (key) => store.delete(key),
    setReachable: (isReachable) => store.setReachable(isReachable),
    endLeases: async () => {
      await clock.advance(MIN_TTL_S * 1_000);
      store.expire();
    },
  };
}

async function onEtcd(t: TestContext): Promise<Subject> {
  const proxy = new TcpProxy(ETCD_ADDRESS ?? "");
  const endpoints = [await proxy.listen()];
  const store = connectEtcd({ endpoints, clock: systemClock, random: Math.random, log: silent, metrics: newMetrics() });
  t.after(() => {
    store.close();
    proxy.close();
  });
  return {
    store,
    prefix: `/test/${randomUUID()}/`,
    put: etcd.put,
    delete: etcd.delete,
    setReachable: (isReachable) => {
      proxy.mode = isReachable ? "pass" : "refuse";
      if (!isReachable) proxy.cut();
    },
    endLeases: async () => undefined, // Real time passes by itself.
  };
}

/** The snapshots that a subscription has brought, and the values of the last one by the rest of their key. */
function follow({ store, prefix }: Subject) {
  const snapshots: Snapshot[] = [];
  const subscription = store.subscribe(prefix, (snapshot) => snapshots.push(snapshot));
  const last = () => {
    const entries = [...(snapshots.at(-1)?.entries ?? [])];
    return Object.fromEntries(entries.map(([key, value]) => [key.slice(prefix.length), value]).sort());
  };
  const shows = (expected: Record<string, string>) =>
    eventually(`the snapshot ${JSON.stringify(expected)}`, () => {
      return snapshots.length > 0 && JSON.stringify(last()) === JSON.stringify(expected);
    });
  return { snapshots, shows, close: () => subscription.close() };
}

const rules: readonly [string, (subject: Subject) => Promise<void>][] = [
  [
    "a subscription begins with a listing, also of nothing",
    async (subject) => {
      await follow(subject).shows({});
      await subject.put(`${subject.prefix}a`, "1");
      await follow(subject).shows({ a: "1" });
    },
  ],
  [
    "every change brings a whole snapshot, with a higher revision, of the keys under the prefix alone",
    async (subject) => {
      const { prefix } = subject;
      const { shows, snapshots, close } = follow(subject);
      await shows({});
      await subject.put(`${prefix}a`, "1");
      await subject.put(`${prefix.slice(0, -1)}-other/a`, "1");
      await subject.put(`${prefix}b`, "ö");
      await shows({ a: "1", b: "ö" });
      await subject.put(`${prefix}a`, "2");
      await subject.delete(`${prefix}b`);
      await shows({ a: "2" });
      const revisions = snapshots.map(({ revision }) => revision);
      assert.deepEqual(
        revisions,
        [...revisions].sort((a, b) => Number(a - b)),
      );
      assert.ok((revisions.at(-1) ?? 0n) > (revisions[0] ?? 0n));
      close();
      const heard = snapshots.length;
      await subject.put(`${prefix}a`, "3");
      await follow(subject).shows({ a: "3" });
      assert.equal(snapshots.length, heard, "a closed subscription brings nothing more");
    },
  ],
  [
    "a lease's keys go when it is revoked, and it can then neither be extended nor used",
    async (subject) => {
      const { shows } = follow(subject);
      const lease = await subject.store.grant(60);
      await lease.put(`${subject.prefix}a`, "1");
      await lease.put(`${subject.prefix}b`, "2");
      await shows({ a: "1", b: "2" });
      assert.equal(await lease.keepAlive(), true);
      await lease.revoke();
      await shows({});
      assert.equal(await lease.keepAlive(), false);
      await assert.rejects(lease.put(`${subject.prefix}a`, "1"), { kind: "unavailable", reason: "STORE_UNAVAILABLE" });
      await lease.revoke();
    },
  ],
  [
    "a lease that nobody extends ends, and takes only the keys that are still its own",
    async (subject) => {
      const { shows } = follow(subject);
      const first = await subject.store.grant(MIN_TTL_S);
      await first.put(`${subject.prefix}mine`, "1");
      await first.put(`${subject.prefix}passed-on`, "1");
      const second = await subject.store.grant(60);
      await second.put(`${subject.prefix}passed-on`, "2");
      await shows({ mine: "1", "passed-on": "2" });
      await subject.endLeases();
      await shows({ "passed-on": "2" });
      assert.equal(await first.keepAlive(), false);
      await second.revoke();
    },
  ],
  [
    "while the store is away commands fail and subscriptions keep still; then they tell what happened meanwhile",
    async (subject) => {
      const { shows, snapshots } = follow(subject);
      const lease = await subject.store.grant(60);
      await lease.put(`${subject.prefix}a`, "1");
      await shows({ a: "1" });
      const heard = snapshots.length;
      subject.setReachable(false);
      const away = { name: "MeshError", kind: "unavailable", reason: "STORE_UNAVAILABLE" };
      await assert.rejects(subject.store.grant(60), away);
      await assert.rejects(lease.put(`${subject.prefix}a`, "2"), away);
      await assert.rejects(lease.keepAlive(), away);
      await assert.rejects(lease.revoke(), away);
      await subject.put(`${subject.prefix}b`, "1");
      assert.equal(snapshots.length, heard);
      subject.setReachable(true);
      await shows({ a: "1", b: "1" });
      assert.equal(await lease.keepAlive(), true);
      await lease.revoke();
      await shows({ b: "1" });
    },
  ],
];

for (const [title, holds] of rules) {
  test(`in memory: ${title}`, () => holds(inMemory()));
  test(`etcd: ${title}`, { skip }, async (t) => holds(await onEtcd(t)));
}
