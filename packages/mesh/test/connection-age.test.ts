/** Servers that end their connections when these are old, as load balancers of connections want it: no call may notice. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { systemClock } from "../src/clock.ts";
import { connectGrpc } from "../src/grpc-connection.ts";
import { connectHttp2 } from "../src/http2-connection.ts";
import { ECHO } from "./echo.ts";
import { ASK, newMesh, serve } from "./echo-mesh.ts";
import { serveRaw } from "./raw-server.ts";

const AT_A_TIME = 20;
const SECONDS = 4;
/** More than all calls that two servers refuse as they end seven connections a second: on a slow machine most that are open then. */
const REFUSED_PER_SECOND = 300;
const options = { "grpc.max_connection_age_ms": 300, "grpc.max_connection_age_grace_ms": 5_000 };

for (const [name, connect] of [
  ["http2", connectHttp2],
  ["grpc-js", connectGrpc],
] as const)
  test(`${name}: connections that live 300 ms fail no call, not even one that may not be repeated`, async (t) => {
    const { client, add, store } = newMesh(t, connect);
    store.put(
      "/mesh/policy/echo",
      JSON.stringify({ schemaVersion: 1, retries: { budgetPerSecond: REFUSED_PER_SECOND } }),
    );
    for (const instance of ["one", "two"]) {
      const answer = async () => systemClock.sleep(5).then(() => ASK);
      add(instance, (await serve(t, { options, answer })).address);
    }
    const endsMs = systemClock.nowMs() + SECONDS * 1_000;
    const failures: unknown[] = [];
    let calls = 0;
    const caller = async () => {
      while (systemClock.nowMs() < endsMs) {
        calls += 1;
        await client.write(ASK).catch((error) => failures.push(error));
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, caller));
    t.diagnostic(`${calls} calls`);
    assert.deepEqual(failures, []);
  });

test("http2: a connection that is closed while it opens again ends nothing else", async (t) => {
  const { address, server } = await serveRaw(t, (stream) => void stream.close());
  const accepted = once(server, "connection");
  const connection = connectHttp2(address);
  const ask = { path: "/", method: ECHO.methods.read, request: ASK, headers: {}, timeoutMs: 5_000, signal: undefined };
  await assert.rejects(connection.unary(ask));
  assert.equal(connection.state, "ready");
  (await accepted)[0].resetAndDestroy();
  while (connection.state === "ready") await setImmediate();
  assert.equal(connection.state, "connecting");
  connection.close();
  await systemClock.sleep(100); // An error that nobody can catch would fail this test.
  assert.equal(connection.state, "closed");
});
