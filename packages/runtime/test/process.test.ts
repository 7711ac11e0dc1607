/** A whole process from outside: how it refuses a configuration, waits, and stops. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Authority } from "@ordermesh/local/certificates";
import { freePorts } from "@ordermesh/local/part";

const ENTRY = fileURLToPath(new URL("./echo-service.ts", import.meta.url));
/** Nothing listens there: the process has to live without etcd. */
const NO_ETCD = "http://127.0.0.1:9";

async function start(t: TestContext, env: Record<string, string> = {}) {
  const [adminPort = 0] = await freePorts(1);
  const base = {
    MESH_ADMIN_PORT: String(adminPort),
    MESH_GRPC_PORT: "0",
    MESH_ETCD_ENDPOINTS: NO_ETCD,
    MESH_DRAIN_DELAY_MS: "0",
    MESH_BIND_HOST: "127.0.0.1",
    MESH_TLS: "off",
  };
  const child = spawn(process.execPath, [ENTRY], { env: { ...base, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  return { child, admin: `http://127.0.0.1:${adminPort}` };
}

/** Exit code, and what it wrote to stderr. */
async function outcome(child: ChildProcess): Promise<{ code: number; said: string }> {
  let said = "";
  child.stderr?.on("data", (chunk) => {
    said += chunk;
  });
  const [code] = await once(child, "close");
  return { code, said };
}

async function untilLogged({ stdout, stderr }: ChildProcess, message: string): Promise<void> {
  if (stdout === null) throw new Error("no output");
  let said = "";
  stderr?.on("data", (chunk) => {
    said += chunk;
  });
  for await (const line of createInterface({ input: stdout })) {
    if (line.includes(`"msg":"${message}"`)) return;
    said += `${line}\n`;
  }
  throw new Error(`the process ended without saying ${message}:\n${said}`);
}

test("a wrong configuration is told whole, with exit code 2, before a port is open", async (t) => {
  const { child } = await start(t, { MESH_GRPC_PORT: "x", MESH_LOG_LEVEL: "loud", MESH_TYPO: "1" });
  const { code, said } = await outcome(child);
  assert.equal(code, 2);
  for (const name of ["MESH_GRPC_PORT", "MESH_LOG_LEVEL", "MESH_TYPO"]) assert.match(said, new RegExp(name));
});

test("without a certificate of its own a process does not start, and says what to do", async (t) => {
  const authority = await Authority.create(mkdtempSync(join(tmpdir(), "identity-")));
  await authority.issue("payment");
  const { child: bare } = await start(t, { MESH_TLS: "on", MESH_TLS_DIR: "/nowhere" });
  const { child: stranger } = await start(t, { MESH_TLS: "on", MESH_TLS_DIR: authority.folderOf("payment") });
  const ends = await Promise.all([outcome(bare), outcome(stranger)]);
  assert.deepEqual(
    ends.map(({ code }) => code),
    [2, 2],
  );
  assert.match(ends[0]?.said ?? "", /\/nowhere cannot be read \(ENOENT\)\nMESH_TLS_DIR .* or set MESH_TLS=off/);
  assert.match(ends[1]?.said ?? "", /tls.crt is the certificate of payment/);
});

test("without etcd a process starts, is healthy and ready, and SIGTERM ends it with 0", async (t) => {
  const { child, admin } = await start(t);
  await untilLogged(child, "service started");
  for (const path of ["/healthz", "/readyz", "/metrics", "/debug/mesh"])
    assert.equal((await fetch(admin + path)).status, 200, path);
  assert.match(await (await fetch(`${admin}/metrics`)).text(), /process_cpu_seconds_total/);
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

test("what waits for its dependencies is healthy but not ready, says why, and can be stopped", async (t) => {
  const { child, admin } = await start(t, { MESH_VERSION: "waits" });
  await untilLogged(child, "process started");
  const ready = await fetch(`${admin}/readyz`);
  assert.equal(ready.status, 503);
  assert.deepEqual((await ready.json()).reasons, { start: "waiting for dependencies" });
  assert.equal((await fetch(`${admin}/healthz`)).status, 200);
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

test("a second signal ends a process whose drain hangs, with 3", async (t) => {
  const { child } = await start(t, { MESH_VERSION: "hangs" });
  await untilLogged(child, "service started");
  child.kill("SIGTERM");
  await new Promise((resolve) => setTimeout(resolve, 100));
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [3, null]);
});

test("a bug that nobody catches ends the process with 1", async (t) => {
  const { child } = await start(t, { MESH_VERSION: "throws" });
  assert.deepEqual(await once(child, "exit"), [1, null]);
});

for (const environment of ["production", "dev"])
  test(`failpoints are not there in ${environment}`, async (t) => {
    const { child, admin } = await start(t, { MESH_ENVIRONMENT: environment, MESH_FAILPOINTS: "x=kill" });
    await untilLogged(child, "service started");
    assert.equal((await fetch(`${admin}/debug/failpoints`, { method: "PUT", body: "x=kill" })).status, 404);
  });

test("in the test environment failpoints are armed over the admin port, and nonsense is refused", async (t) => {
  const { child, admin } = await start(t, { MESH_ENVIRONMENT: "test" });
  await untilLogged(child, "service started");
  const put = (body: string) => fetch(`${admin}/debug/failpoints`, { method: "PUT", body });
  assert.equal((await put("x=1*error")).status, 200);
  const refused = await put("x=explode");
  assert.equal(refused.status, 400);
  assert.match((await refused.json()).error, /must be name=/);
  assert.equal((await fetch(`${admin}/nothing`)).status, 404);
});
