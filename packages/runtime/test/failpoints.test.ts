/** What an armed point does to a whole process. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";

const MODULE = new URL("../src/failpoints.ts", import.meta.url).href;

async function endOf(spec: string, ...options: string[]) {
  const script = `import { armFailpoints, failpoint } from ${JSON.stringify(MODULE)};
    armFailpoints(${JSON.stringify(spec)});
    await failpoint("test.point");
    process.exit(3);`;
  const child = spawn(process.execPath, [...options, "--input-type=module", "--eval", script], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  const [code, signal] = await once(child, "close");
  return { code, signal, said };
}

test("a point that exhausts memory ends the process by V8's limit", async () => {
  const { code, signal, said } = await endOf("test.point=1*exhaust", "--max-heap-size=64");
  assert.notEqual(code, 3);
  assert.equal(signal, "SIGABRT", said);
  assert.match(said, /^\{"failpoint":"test\.point","action":"exhaust"\}/);
  assert.match(said, /heap out of memory/);
});

test("a point that kills ends the process at once", async () => {
  const { signal, said } = await endOf("test.point=1*kill");
  assert.equal(signal, "SIGKILL");
  assert.equal(said, '{"failpoint":"test.point","action":"kill"}\n');
});
