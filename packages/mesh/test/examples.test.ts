/** The examples as a reader runs them: two servers, a client, and a server that goes meanwhile. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ETCD_ADDRESS, skip } from "./etcd-address.ts";

const CALLS = 30;

function run(t: TestContext, name: string, prefix: string, ...args: string[]) {
  const script = fileURLToPath(new URL(`../examples/${name}.ts`, import.meta.url));
  const env = { ...process.env, MESH_ETCD_ENDPOINTS: `http://${ETCD_ADDRESS}`, EXAMPLE_PREFIX: prefix };
  const child = spawn(process.execPath, [script, ...args], { env, stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

async function lines(child: ChildProcess, onLine: (line: string) => void): Promise<void> {
  if (child.stdout === null) throw new Error("no output");
  for await (const line of createInterface({ input: child.stdout })) onLine(line);
}

test("a client finds two servers, and loses no call when one of them stops", { skip }, async (t) => {
  const prefix = `/test/${randomUUID()}`;
  const one = run(t, "server", prefix, "one");
  run(t, "server", prefix, "two");
  const client = run(t, "client", prefix, String(CALLS));
  const [ended, oneEnded] = [once(client, "exit"), once(one, "exit")];
  const said: string[] = [];
  await lines(client, (line) => {
    said.push(line);
    if (said.length === CALLS / 2) one.kill("SIGTERM");
  });
  assert.deepEqual(await ended, [0, null]);
  const answers = said.filter((line) => line.startsWith("Hello world"));
  assert.equal(answers.length, CALLS);
  assert.deepEqual(new Set(answers.map((line) => line.split(" ").at(-1))), new Set(["one", "two"]));
  assert.ok(answers.at(-1)?.endsWith("two"));
  assert.deepEqual(await oneEnded, [0, null]);
});
