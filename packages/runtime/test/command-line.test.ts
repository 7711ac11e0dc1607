/** A wrong option of a program: a sentence and its help, never a stack trace or the exit code of a verdict. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
/** Of wrong use. */
const CODES = [2, 3];

const PROGRAMS = [
  "packages/judge/src/main.ts",
  "services/loadgen/src/main.ts",
  "services/loadgen/src/smoke.ts",
  "test/demo/main.ts",
];

for (const program of PROGRAMS)
  test(`${program} refuses an unknown option`, async () => {
    const { code, stderr } = await run(program, "--nope");
    assert.ok(CODES.includes(code), `exit code ${code}`);
    assert.match(stderr, /^Unknown option '--nope'/);
    assert.match(stderr, /\nUsage: /);
    assert.doesNotMatch(stderr, /^ {4}at /m);
  });

function run(program: string, option: string): Promise<{ code: number; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, option], { cwd: ROOT }, (error, _stdout, stderr) => {
      resolve({ code: typeof error?.code === "number" ? error.code : 0, stderr });
    });
  });
}
