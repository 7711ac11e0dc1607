/** Connections that experiments break: whatever opened them, and whether they are in use or not. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { Authority } from "@ordermesh/local/certificates";
import { breakConnections, followConnections } from "../src/process-faults.ts";

followConnections();
const servers: Server[] = [];
after(() => servers.forEach((server) => void server.close()));

async function listen(server: Server): Promise<number> {
  servers.push(server.listen(0, "127.0.0.1"));
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function isBroken(port: number, socket: Socket, ready: string): Promise<void> {
  await once(socket, ready);
  socket.unref(); // As a client does without a call in flight.
  const ended = new Promise((resolve) => socket.once("close", resolve));
  assert.deepEqual(breakConnections(JSON.stringify({ ports: [port] })), { broken: 1 });
  socket.ref();
  await ended;
  assert.equal(socket.destroyed, true);
  assert.deepEqual(breakConnections(JSON.stringify({ ports: [port] })), { broken: 0 });
}

test("a plain connection that is idle", async () => {
  const port = await listen(createServer(() => undefined));
  await isBroken(
    port,
    connect(port, "127.0.0.1").on("error", () => undefined),
    "connect",
  );
});

test("a connection with TLS, made at once or over a plain one as grpc-js makes it", async () => {
  const dir = join(mkdtempSync(join(tmpdir(), "broken-")), "certificates");
  const authority = await Authority.create(dir);
  await authority.issue("payment");
  const [cert, key] = ["tls.crt", "tls.key"].map((file) => readFileSync(join(authority.folderOf("payment"), file)));
  const port = await listen(
    createTlsServer(
      { ...(cert && { cert }), ...(key && { key }) },
      (socket) => void socket.on("error", () => undefined),
    ),
  );
  const options = { rejectUnauthorized: false };
  await isBroken(
    port,
    connectTls({ ...options, port, host: "127.0.0.1" }).on("error", () => undefined),
    "secureConnect",
  );
  const plain = connect(port, "127.0.0.1").on("error", () => undefined);
  await once(plain, "connect");
  await isBroken(
    port,
    connectTls({ ...options, socket: plain }).on("error", () => undefined),
    "secureConnect",
  );
});
