/** Who may connect and who may call, over real TLS, with certificates that are renewed meanwhile. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Authority, TRUST_DOMAIN } from "@ordermesh/local/certificates";
import { testLog } from "@ordermesh/local/under-test";
import { systemClock } from "@ordermesh/mesh/clock";
import type { Connect } from "@ordermesh/mesh/connection";
import { connectGrpc } from "@ordermesh/mesh/grpc-connection";
import { connectHttp2 } from "@ordermesh/mesh/http2-connection";
import { IdentityFiles } from "@ordermesh/mesh/identity-files";
import { MemoryStore } from "@ordermesh/mesh/memory-store";
import { Mesh } from "@ordermesh/mesh/mesh";
import { createMeshMetrics, type IdentityMetrics } from "@ordermesh/mesh/metrics";
import { PaymentServiceDefinition } from "@ordermesh/proto/ordermesh/payment/v1/payment";
import { Registry } from "prom-client";
import { GrpcServer } from "../src/grpc.ts";
import { implement } from "../src/grpc-service.ts";
import { createMetrics } from "../src/metrics.ts";

const REQUEST = { orderId: "1" };
const CONNECTIONS = [
  ["http2", connectHttp2],
  ["grpc-js", connectGrpc],
] as const;
const options = { log: testLog, clock: systemClock, random: Math.random };

async function newAuthority(...services: readonly string[]): Promise<Authority> {
  const authority = await Authority.create(mkdtempSync(join(tmpdir(), "identity-")));
  for (const service of services) await authority.issue(service);
  return authority;
}

function openIdentity(dir: string, metrics: IdentityMetrics = createMeshMetrics(new Registry(), systemClock)) {
  return new IdentityFiles({ dir, trustDomain: TRUST_DOMAIN, ...options, metrics });
}

/** A payment service whose `getPayment` is for order alone; resolves with its address and metrics. */
async function servePayment(t: TestContext, authority: Authority, name = "payment") {
  const metrics = createMetrics();
  const identity = openIdentity(authority.folderOf(name));
  const done = async () => ({});
  const handlers = { charge: done, refund: done, getPayment: async () => ({}) };
  const service = implement(PaymentServiceDefinition, handlers as never, { getPayment: ["order"] });
  const server = new GrpcServer([service], { ...options, metrics, identity });
  t.after(() => {
    server.close();
    identity.close();
  });
  return { address: `127.0.0.1:${await server.listen("127.0.0.1", 0)}`, metrics, identity };
}

/** A client of the payment service, in the name of `caller`; undefined has no certificate. */
function clientFor(t: TestContext, address: string, connect: Connect, folder: string | undefined) {
  const store = new MemoryStore(systemClock);
  const facts = { adminAddress: address, version: "", zone: "", weight: 1, protocol: "grpc", pod: "", node: "" };
  store.put("/m/endpoints/payment/one", JSON.stringify({ service: "payment", instance: "one", address, ...facts }));
  const mesh = new Mesh({
    ...options,
    connectStore: () => store,
    prefix: "/m",
    service: "whoever",
    registry: new Registry(),
    connect,
    ...(folder === undefined ? {} : { openIdentity: (metrics: IdentityMetrics) => openIdentity(folder, metrics) }),
  });
  t.after(() => mesh.close());
  return { client: mesh.client(PaymentServiceDefinition, "payment", 2_000), identity: mesh.identity };
}

const countOf = async (metric: { get(): Promise<{ values: { value: number }[] }> }) =>
  (await metric.get()).values.reduce((sum, { value }) => sum + value, 0);

for (const [name, connect] of CONNECTIONS) {
  test(`${name}: a caller that may call is served`, async (t) => {
    const authority = await newAuthority("payment", "order");
    const { address } = await servePayment(t, authority);
    const { client } = clientFor(t, address, connect, authority.folderOf("order"));
    assert.deepEqual(await client.getPayment(REQUEST), { payment: undefined });
  });

  test(`${name}: a caller that may not is refused and counted, and so is everyone where nobody is named`, async (t) => {
    const authority = await newAuthority("payment", "order", "notification");
    const { address, metrics } = await servePayment(t, authority);
    const forbidden = { kind: "forbidden", reason: "CALLER_FORBIDDEN" };
    const notification = clientFor(t, address, connect, authority.folderOf("notification")).client;
    await assert.rejects(notification.charge({ orderId: "1", amount: undefined, paymentToken: "" }), forbidden);
    await assert.rejects(notification.getPayment(REQUEST), forbidden);
    const order = clientFor(t, address, connect, authority.folderOf("order")).client;
    await assert.rejects(order.refund(REQUEST), forbidden);
    const { values } = await metrics.callsForbidden.get();
    assert.deepEqual(values.map(({ labels }) => labels.caller).sort(), ["notification", "notification", "order"]);
  });

  test(`${name}: nobody connects without a certificate, or with one of another authority`, async (t) => {
    const [authority, foreign] = [await newAuthority("payment", "order"), await newAuthority("order")];
    const { address, metrics } = await servePayment(t, authority);
    const folder = authority.folderOf("order");
    const stranger = join(mkdtempSync(join(tmpdir(), "identity-")));
    for (const file of ["tls.crt", "tls.key"])
      writeFileSync(join(stranger, file), readOf(foreign.folderOf("order"), file));
    writeFileSync(join(stranger, "ca.crt"), readOf(folder, "ca.crt")); // It believes the server; the server not it.
    for (const way of [undefined, stranger])
      await assert.rejects(clientFor(t, address, connect, way).client.getPayment(REQUEST), { kind: "unavailable" });
    assert.ok((await countOf(metrics.connectionsRefused)) >= 2);
  });

  test(`${name}: a server that is another service, or of another authority, gets no call`, async (t) => {
    const [authority, foreign] = [await newAuthority("inventory", "order"), await newAuthority("payment")];
    for (const [by, service] of [
      [authority, "inventory"],
      [foreign, "payment"],
    ] as const) {
      const { address, metrics } = await servePayment(t, by, service);
      const { client } = clientFor(t, address, connect, authority.folderOf("order"));
      await assert.rejects(client.getPayment(REQUEST), { kind: "unavailable" });
      assert.equal(await countOf(metrics.served), 0);
    }
  });

  test(`${name}: certificates of both sides are renewed under load and no call fails`, async (t) => {
    const authority = await newAuthority("payment", "order");
    const server = await servePayment(t, authority);
    const { client, identity } = clientFor(t, server.address, connect, authority.folderOf("order"));
    const sources = [server.identity, identity];
    const failures: unknown[] = [];
    let calls = 0;
    let isOver = false;
    const callers = Array.from({ length: 20 }, async () => {
      while (!isOver) {
        calls += 1;
        await client.getPayment(REQUEST).catch((error) => failures.push(error));
      }
    });
    for (let round = 0; round < 2; round += 1) {
      const renewed = sources.map((source) => new Promise<void>((resolve) => source?.onChange(resolve)));
      await authority.issue("payment");
      await authority.issue("order");
      await Promise.all(renewed);
    }
    isOver = true;
    await Promise.all(callers);
    t.diagnostic(`${calls} calls`);
    assert.deepEqual(failures, []);
  });
}

test("what is no identity changes nothing and is counted once", async (t) => {
  const authority = await newAuthority("order");
  const dir = mkdtempSync(join(tmpdir(), "identity-"));
  for (const file of ["tls.crt", "tls.key", "ca.crt"])
    writeFileSync(join(dir, file), readOf(authority.folderOf("order"), file));
  const metrics = createMeshMetrics(new Registry(), systemClock);
  const identity = openIdentity(dir, metrics);
  t.after(() => identity.close());
  const before = identity.current;
  await authority.issue("order");
  writeFileSync(join(dir, "tls.key"), readOf(authority.folderOf("order"), "tls.key")); // Not the certificate's any more.
  await systemClock.sleep(4_500);
  assert.equal(identity.current, before);
  assert.equal(await countOf(metrics.identityReloads), 1);
  writeFileSync(join(dir, "tls.crt"), readOf(authority.folderOf("order"), "tls.crt"));
  await new Promise<void>((resolve) => identity.onChange(resolve));
  assert.notEqual(identity.current, before);
});

function readOf(folder: string, file: string): Buffer {
  return readFileSync(join(folder, file));
}
