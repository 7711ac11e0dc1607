/** Who gets no connection to the TLS port of a server, and under which reason each is counted. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type ConnectionOptions, connect } from "node:tls";
import { Authority, TRUST_DOMAIN } from "@ordermesh/local/certificates";
import { testLog } from "@ordermesh/local/under-test";
import { systemClock } from "@ordermesh/mesh/clock";
import { IdentityFiles } from "@ordermesh/mesh/identity-files";
import { createMeshMetrics } from "@ordermesh/mesh/metrics";
import { Registry } from "prom-client";
import { GrpcServer } from "../src/grpc.ts";
import { createMetrics } from "../src/metrics.ts";

const options = { log: testLog, clock: systemClock, random: Math.random };
/** Long enough to start a server with. */
const LIFETIME_MS = 5_000;
const newDir = () => mkdtempSync(join(tmpdir(), "handshake-"));

async function serve(t: TestContext, authority: Authority) {
  await authority.issue("payment");
  const identityMetrics = createMeshMetrics(new Registry(), systemClock);
  const dir = authority.folderOf("payment");
  const identity = new IdentityFiles({ dir, trustDomain: TRUST_DOMAIN, ...options, metrics: identityMetrics });
  const metrics = createMetrics();
  const server = new GrpcServer([], { ...options, metrics, identity });
  t.after(() => {
    server.close();
    identity.close();
  });
  const port = await server.listen("127.0.0.1", 0);
  const refused = async () => {
    const { values } = await metrics.connectionsRefused.get();
    return values.map(({ labels, value }) => [labels.reason, value]);
  };
  return { port, refused };
}

function certificateIn(folder: string): ConnectionOptions {
  const read = (name: string) => readFileSync(join(folder, name));
  return { cert: read("tls.crt"), key: read("tls.key") };
}

/** Greets with TLS, and then speaks HTTP/2; resolves when the server has hung up. */
async function untilRefused(t: TestContext, port: number, certificate: ConnectionOptions): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1", ALPNProtocols: ["h2"], rejectUnauthorized: false, ...certificate });
  await hungUp(t, socket);
}

async function hungUp(t: TestContext, socket: Socket): Promise<void> {
  t.after(() => socket.destroy());
  socket.on("error", () => undefined);
  socket.resume();
  await new Promise((resolve) => socket.once("close", resolve));
}

test("no certificate, a foreign one, old TLS and no TLS are hung up on, each under its reason", async (t) => {
  const [authority, foreign] = [await Authority.create(newDir()), await Authority.create(newDir())];
  const { port, refused } = await serve(t, authority);
  for (const by of [authority, foreign]) await by.issue("order");
  const own = certificateIn(authority.folderOf("order"));
  await untilRefused(t, port, {});
  assert.deepEqual(await refused(), [["no-certificate", 1]]);
  await untilRefused(t, port, certificateIn(foreign.folderOf("order")));
  await untilRefused(t, port, { ...own, minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" });
  await untilRefused(t, port, { ...own, maxVersion: "TLSv1.2" }); // And with it renegotiation, which TLS 1.3 has not.
  const plain = connectTcp(port, "127.0.0.1");
  plain.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  await hungUp(t, plain);
  assert.deepEqual(Object.fromEntries(await refused()), { "no-certificate": 1, untrusted: 1, protocol: 3 });
});

test("a certificate that names no service is hung up on, though its authority is believed", async (t) => {
  const authority = await Authority.create(newDir());
  const { port, refused } = await serve(t, authority);
  await authority.issue("Not A Service");
  await untilRefused(t, port, certificateIn(authority.folderOf("Not A Service")));
  assert.deepEqual(await refused(), [["identity", 1]]);
});

test("a certificate that is over is hung up on", async (t) => {
  const authority = await Authority.create(newDir(), LIFETIME_MS);
  await authority.issue("order");
  const over = sleep(LIFETIME_MS + 1_000); // Certificates count in seconds.
  const { port, refused } = await serve(t, authority);
  await over;
  await untilRefused(t, port, certificateIn(authority.folderOf("order")));
  assert.deepEqual(await refused(), [["expired", 1]]);
});

test("who connects and sends no handshake is hung up on within 20 s", async (t) => {
  const { port, refused } = await serve(t, await Authority.create(newDir()));
  const startedMs = performance.now();
  await hungUp(t, connectTcp(port, "127.0.0.1"));
  assert.ok(performance.now() - startedMs < 20_000);
  assert.deepEqual(await refused(), [["too-slow", 1]]);
});
