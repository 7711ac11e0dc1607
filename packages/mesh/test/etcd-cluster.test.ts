/** Calls and registrations while a cluster of three loses its quorum or a member freezes, a backup comes back, and hundreds register at once. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { systemClock } from "../src/clock.ts";
import { connectEtcd } from "../src/etcd.ts";
import { EtcdDocuments } from "../src/etcd-documents.ts";
import { Registrar } from "../src/registrar.ts";
import { newEtcd, newSystem, skip } from "./etcd-system.ts";
import { anEndpoint, eventually, newMetrics, silent } from "./fixtures.ts";

const BACK_MS = 5_000;
const MANY = 200;

test("without a quorum no call fails, and what waits is registered soon after it is back", { skip }, async (t) => {
  const { members, endpoints } = await newEtcd(t, 3);
  const { register, registrar, isListed, end } = await newSystem(t, endpoints);
  const lost = members.slice(0, 2);
  const ends = lost.map((member) => member.exited());
  for (const member of lost) member.kill();
  await Promise.all(ends);
  const second = await register("echo-2");
  await eventually("the loss of the lease", () => registrar.state.kind === "registering");
  assert.equal(second.state.kind, "registering");
  for (const member of lost) member.start();
  await untilHealthy(endpoints);
  const backMs = systemClock.nowMs();
  await eventually("both registrations", () => [registrar, second].every(({ state }) => state.kind === "registered"));
  const tookMs = systemClock.nowMs() - backMs;
  t.diagnostic(`registered ${Math.round(tookMs)} ms after the quorum was back`);
  assert.ok(tookMs < BACK_MS, `${tookMs} ms`);
  await isListed("echo-1", "echo-2");
  await end();
});

test("a member of three that freezes fails no call and holds up no registration for long", { skip }, async (t) => {
  const { member, endpoints } = await newEtcd(t, 3);
  const { register, isListed, end } = await newSystem(t, endpoints);
  member.freeze();
  await register("echo-2");
  await isListed("echo-1", "echo-2");
  member.thaw();
  await end();
});

test("a restored backup, with all that came later gone, fails no call, and the living are listed again", {
  skip,
}, async (t) => {
  const { member, kill, endpoints, backUp, restore } = await newEtcd(t, 1);
  const { register, isListed, end } = await newSystem(t, endpoints);
  await kill();
  await backUp();
  member.start();
  await register("echo-2");
  await isListed("echo-1", "echo-2");
  const documents = new EtcdDocuments(endpoints);
  for (let change = 0; change < 100; change += 1) await documents.write({ puts: { "/other": String(change) } });
  documents.close();
  await kill();
  await restore();
  member.start();
  await isListed("echo-1", "echo-2");
  await end();
});

test(`${MANY} leases that end at once are all back in ${BACK_MS / 1_000} s`, { skip }, async (t) => {
  const { member, endpoints } = await newEtcd(t, 1);
  const registrars = register(t, endpoints);
  const isAll = (kind: string) => registrars.every(({ state }) => state.kind === kind);
  await eventually("all registrations", () => isAll("registered"));
  member.freeze();
  await eventually("the loss of all leases", () => isAll("registering"));
  await systemClock.sleep(3_000); // Past the leases' end, which nothing but etcd can see.
  const thawedMs = systemClock.nowMs();
  member.thaw();
  await eventually("all registrations", () => isAll("registered"));
  const tookMs = systemClock.nowMs() - thawedMs;
  const documents = new EtcdDocuments(endpoints);
  const listed = await documents.list("/mesh/endpoints/echo/");
  documents.close();
  t.diagnostic(`${listed.length} back after ${Math.round(tookMs)} ms`);
  assert.equal(listed.length, MANY);
  assert.ok(tookMs < BACK_MS, `${tookMs} ms`);
});

/** Resolves once etcd can be written to. */
async function untilHealthy(endpoints: readonly string[]): Promise<void> {
  const documents = new EtcdDocuments(endpoints);
  const endsMs = systemClock.nowMs() + 30_000;
  for (;;)
    try {
      await documents.write({ puts: { "/probe": "" } });
      return documents.close();
    } catch (error) {
      if (systemClock.nowMs() > endsMs) throw error;
    }
}

function register(t: TestContext, endpoints: readonly string[]): Registrar[] {
  const common = { clock: systemClock, random: Math.random, log: silent };
  return Array.from({ length: MANY }, (_, number) => {
    const metrics = newMetrics();
    const store = connectEtcd({ ...common, endpoints, metrics });
    const registrar = new Registrar({ ...common, store, prefix: "/mesh", metrics });
    registrar.register(anEndpoint(`echo-${number}`));
    t.after(async () => {
      await registrar.deregister();
      store.close();
    });
    return registrar;
  });
}
