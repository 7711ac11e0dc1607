/** Child processes for real: restarts with back-off, freezing, stopping, and no orphan when we die. */
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ManagedProcess, type ProcessSpec } from "../src/process.ts";

const { PATH = "" } = env;
const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

function newProcess(t: TestContext, script: string, spec: Partial<ProcessSpec> = {}): ManagedProcess {
  const logFile = join(mkdtempSync(join(tmpdir(), "process-")), "log");
  const managed = new ManagedProcess({
    name: "child",
    command: "bash",
    args: ["-c", script],
    env: { PATH },
    logFile,
    restarts: true,
    ...spec,
  });
  t.after(() => managed.stop(100));
  return managed;
}

async function until(what: string, condition: () => boolean, timeoutMs = 5_000): Promise<void> {
  const endsMs = performance.now() + timeoutMs;
  while (!condition()) {
    assert.ok(performance.now() < endsMs, what);
    await sleep(10);
  }
}

/** The first letter of `ps`; nothing for a process that has ended, whether its parent has asked for it or not (Z). */
function stateOf(pid: number): string {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)]);
  return stdout.toString().trim().replace(/^Z.*/, "").slice(0, 1);
}

test("a killed process is started again, each time after a longer wait, and its log goes on", async (t) => {
  const child = newProcess(t, "echo born; sleep 60");
  child.start();
  const waits: number[] = [];
  const births = () => readFileSync(child.spec.logFile, "utf8").split("born\n").length - 1;
  for (let round = 0; round < 3; round += 1) {
    await until("born", () => births() === round + 1);
    const ended = child.exited();
    child.kill();
    await ended;
    const startedMs = performance.now();
    assert.equal(child.state, "backing-off");
    await until("started again", () => child.state === "running");
    waits.push(performance.now() - startedMs);
  }
  assert.equal(child.restarts, 3);
  assert.ok(
    waits.every((ms, index) => ms >= 250 * 2 ** index - 20),
    waits.join(", "),
  );
  await until("the last birth", () => births() === 4);
});

test("a process that is stopped is not started again, and one that ignores the request is killed", async (t) => {
  const child = newProcess(t, 'trap "" TERM; while true; do sleep 0.05; done');
  child.start();
  await sleep(100);
  await child.stop(200);
  assert.equal(child.state, "stopped");
  assert.equal(child.restarts, 0);
});

test("a frozen process stands still and a thawed one goes on", async (t) => {
  const child = newProcess(t, "while true; do sleep 0.01; done");
  child.start();
  const pid = child.pid ?? 0;
  child.freeze();
  await until("frozen", () => stateOf(pid) === "T");
  child.thaw();
  await until("thawed", () => stateOf(pid) !== "T");
  assert.equal(child.pid, pid);
});

test("a program that does not exist backs off like one that dies", async (t) => {
  const child = newProcess(t, "", { command: "/nonexistent/program" });
  child.start();
  await until("backing off", () => child.state === "backing-off");
});

test("no child outlives a supervisor that is killed", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "supervisor-"));
  const script = `
    import { ManagedProcess } from ${JSON.stringify(new URL("../src/process.ts", import.meta.url).href)};
    const child = new ManagedProcess({ name: "c", command: "sleep", args: ["60"], env: { PATH: ${JSON.stringify(PATH)} }, logFile: ${JSON.stringify(join(dir, "log"))}, restarts: true });
    child.start();
    console.log(child.pid);
    setInterval(() => undefined, 1000);`;
  const supervisor = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => supervisor.kill("SIGKILL"));
  const [line] = await once(createInterface({ input: supervisor.stdout }), "line");
  const pid = Number(line);
  assert.notEqual(stateOf(pid), "");
  supervisor.kill("SIGKILL");
  await until("the child's end", () => stateOf(pid) === "", 2_000);
});

function runMain(args: readonly string[], extra: Record<string, string> = {}): { code: number; output: string } {
  try {
    return {
      code: 0,
      output: execFileSync(process.execPath, [MAIN, ...args], {
        env: { PATH, ...extra },
        stdio: ["ignore", "pipe", "pipe"],
      }).toString(),
    };
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number; stdout: Buffer; stderr: Buffer };
    return { code: status, output: `${stdout}${stderr}` };
  }
}

const addresses = {
  MESH_ETCD_ENDPOINTS: "http://127.0.0.1:9",
  MESH_KAFKA_BROKERS: "127.0.0.1:9",
  MESH_POSTGRES_URL: "postgres://root:hunter2@127.0.0.1:9/postgres",
};

test("doctor says where each part would come from, and shows no password", () => {
  const { code, output } = runMain(["doctor"], { ...addresses, MESH_HTTP_PORT: "0" });
  assert.equal(code, 0, output);
  assert.match(output, /etcd +is used at http:\/\/127.0.0.1:9/);
  assert.doesNotMatch(output, /hunter2/);
});

test("a port in use is one clear sentence, before anything starts", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const { code, output } = runMain(["start"], { ...addresses, MESH_HTTP_PORT: String(port) });
  assert.equal(code, 2);
  assert.equal(
    output,
    `Port ${port} is in use: stop what listens there, or choose another with MESH_HTTP_PORT=8081 make start.\n`,
  );
});

test("help is help, and an unknown command is refused", () => {
  assert.equal(runMain(["--help"]).code, 0);
  const { code, output } = runMain(["explode"]);
  assert.equal(code, 2);
  assert.match(output, /explode is no command/);
});

test("with-parts passes the exit code on, and runs nothing of its own when all addresses are given", () => {
  assert.equal(runMain(["with-parts", "--", "bash", "-c", "exit 7"], addresses).code, 7);
  assert.equal(runMain(["with-parts", "--", "/nonexistent/program"], addresses).code, 127);
});
