/** The reader against real etcd and real meshes: what they say must be what the judge gets. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { env } from "node:process";
import { type TestContext, test } from "node:test";
import { judgeMesh } from "@ordermesh/judge/mesh-invariants";
import { readConverged } from "@ordermesh/judge/mesh-reader";
import { systemClock } from "@ordermesh/mesh/clock";
import { connectEtcd } from "@ordermesh/mesh/etcd";
import { EtcdDocuments } from "@ordermesh/mesh/etcd-documents";
import { Mesh } from "@ordermesh/mesh/mesh";
import { Registry } from "prom-client";

const { MESH_ETCD_ENDPOINTS } = env;
const etcd = (MESH_ETCD_ENDPOINTS ?? "").split(",");
const skip = MESH_ETCD_ENDPOINTS === undefined && "MESH_ETCD_ENDPOINTS names no etcd";
const silent = { debug() {}, info() {}, warn() {}, error() {} };

const readings = async (source: Parameters<typeof readConverged>[0], timeoutMs?: number) =>
  judgeMesh(await readConverged(source, timeoutMs)).map(({ held, examples }) => [held, ...examples]);

test("instances, policy and registry that agree are held, and a change is waited for", { skip }, async (t) => {
  const { prefix, documents } = open(t);
  const adminUrls = [await startInstance(t, prefix, "order"), await startInstance(t, prefix, "payment")];
  await documents.write({
    puts: {
      [`${prefix}/policy/payment`]: '{"schemaVersion":1,"methods":{"Charge":{"timeoutMs":900}},"timeoutMs":800}',
    },
  });
  assert.deepEqual(await readings({ etcd, prefix, adminUrls }), [["True"], ["True"]]);
  await documents.write({ puts: { [`${prefix}/policy/payment`]: "{not valid" } });
  assert.deepEqual(await readings({ etcd, prefix, adminUrls }), [["True"], ["True"]], "the last good one stays");
});

test("a ghost in the registry and an instance that applies nothing are found", { skip }, async (t) => {
  const { prefix, documents } = open(t);
  const adminUrls = [await startInstance(t, prefix, "order")];
  const ghost = { ...endpointOf("payment"), address: "127.0.0.1:9", adminAddress: "127.0.0.1:9" };
  await documents.write({ puts: { [`${prefix}/endpoints/payment/payment-1`]: JSON.stringify(ghost) } });
  const [config, registry] = await readings({ etcd, prefix, adminUrls }, 2_000);
  assert.deepEqual(config, ["True"]);
  assert.deepEqual(registry, ["False", "payment/payment-1 is registered and does not answer"]);
});

test("a store or instances that do not answer leave the invariants unknown", { skip }, async (t) => {
  const { prefix } = open(t);
  const unknown = [["Unknown"], ["Unknown"]];
  const heldOf = async (source: Parameters<typeof readConverged>[0]) =>
    (await readings(source, 0)).map(([held]) => [held]);
  assert.deepEqual(await heldOf({ etcd, prefix, adminUrls: ["http://127.0.0.1:1"] }), unknown);
  const adminUrls = [await startInstance(t, prefix, "order")];
  assert.deepEqual(await heldOf({ etcd: ["127.0.0.1:1"], prefix, adminUrls }), unknown);
});

function open(t: TestContext) {
  const documents = new EtcdDocuments(etcd);
  t.after(() => documents.close());
  return { prefix: `/test/${randomUUID()}`, documents };
}

/** A mesh in this process behind an admin server; resolves with its URL. */
async function startInstance(t: TestContext, prefix: string, service: string): Promise<string> {
  const mesh = new Mesh({
    connectStore: (metrics) =>
      connectEtcd({ endpoints: etcd, clock: systemClock, random: Math.random, log: silent, metrics }),
    prefix,
    service,
    clock: systemClock,
    random: Math.random,
    log: silent,
    registry: new Registry(),
  });
  const admin = createServer((_, response) => response.end(JSON.stringify(mesh.debug())));
  await new Promise<void>((resolve) => admin.listen(0, "127.0.0.1", () => resolve()));
  const adminAddress = `127.0.0.1:${(admin.address() as AddressInfo).port}`;
  mesh.registrar.register({ ...endpointOf(service), adminAddress });
  t.after(async () => {
    await mesh.close();
    admin.close();
    admin.closeAllConnections();
  });
  return `http://${adminAddress}`;
}

function endpointOf(service: string) {
  const place = { version: "1", zone: "a", weight: 1, protocol: "grpc" as const, pod: "", node: "" };
  return { service, instance: `${service}-1`, address: "127.0.0.1:9", adminAddress: "127.0.0.1:9", ...place };
}
