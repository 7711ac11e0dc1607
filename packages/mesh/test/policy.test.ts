/** Policy and faults on their way from real etcd to the calls of many clients. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import { Registry } from "prom-client";
import { systemClock } from "../src/clock.ts";
import { connectEtcd } from "../src/etcd.ts";
import { Mesh } from "../src/mesh.ts";
import { ECHO } from "./echo.ts";
import { ASK, serve } from "./echo-mesh.ts";
import { ETCD_ADDRESS, etcd, skip } from "./etcd-address.ts";
import { anEndpoint, eventually, silent } from "./fixtures.ts";

const CLIENTS = 100;
const CHANGES = 20;

function newMesh(t: TestContext, prefix: string): Mesh {
  const common = { clock: systemClock, random: Math.random, log: silent };
  const endpoints = [`http://${ETCD_ADDRESS}`];
  const mesh = new Mesh({
    ...common,
    connectStore: (metrics) => connectEtcd({ ...common, endpoints, metrics }),
    prefix,
    service: "shop",
    registry: new Registry(),
  });
  t.after(() => mesh.close());
  return mesh;
}

const appliedOf = (mesh: Mesh) => Number((mesh.debug() as { policy: { revision: string } }).policy.revision);

test("a fault in etcd meets the next calls, and its deletion frees them", { skip }, async (t) => {
  const prefix = `/test/${randomUUID()}`;
  const { address } = await serve(t);
  await etcd.put(`${prefix}/endpoints/echo/one`, JSON.stringify(anEndpoint("one", { address })));
  const mesh = newMesh(t, prefix);
  const client = mesh.client(ECHO, "echo");
  assert.deepEqual(await client.read(ASK, { timeoutMs: 5_000 }), ASK);
  const rule = { schemaVersion: 1, service: "echo", share: 1, abort: "forbidden", expiresAtMs: Date.now() + 60_000 };
  await etcd.put(`${prefix}/faults/no`, JSON.stringify(rule));
  const faultsOf = () => (mesh.debug() as { policy: { faults: unknown[] } }).policy.faults.length;
  await eventually("the fault", () => faultsOf() === 1);
  await assert.rejects(client.read(ASK), { kind: "forbidden", reason: "FAULT_INJECTED" });
  await etcd.delete(`${prefix}/faults/no`);
  await eventually("its end", () => faultsOf() === 0);
  assert.deepEqual(await client.read(ASK), ASK);
});

test(`a policy change reaches ${CLIENTS} clients, each with its own watch`, { skip }, async (t) => {
  const prefix = `/test/${randomUUID()}`;
  const first = await etcd.put(`${prefix}/policy/echo`, JSON.stringify({ schemaVersion: 1, timeoutMs: 100 }));
  const meshes = Array.from({ length: CLIENTS }, () => newMesh(t, prefix));
  await eventually("the first policy everywhere", () => meshes.every((mesh) => appliedOf(mesh) >= first));
  const tookMs: number[] = [];
  for (let change = 1; change <= CHANGES; change += 1) {
    const revision = await etcd.put(
      `${prefix}/policy/echo`,
      JSON.stringify({ schemaVersion: 1, timeoutMs: 100 + change }),
    );
    const committedMs = performance.now();
    const waiting = new Set(meshes);
    while (waiting.size > 0) {
      for (const mesh of waiting)
        if (appliedOf(mesh) >= revision) {
          waiting.delete(mesh);
          tookMs.push(performance.now() - committedMs);
        }
      await new Promise(setImmediate);
      assert.ok(performance.now() - committedMs < 30_000, `${waiting.size} clients never got it`);
    }
  }
  tookMs.sort((a, b) => a - b);
  const at = (share: number) => tookMs[Math.floor(tookMs.length * share)]?.toFixed(1);
  t.diagnostic(`from etcd's answer to applied, ${CHANGES} changes: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`);
  assert.equal(tookMs.length, CLIENTS * CHANGES);
});
