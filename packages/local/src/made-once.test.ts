import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { madeOnce } from "./made-once.ts";

function pathIn(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "made-once-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, "libs");
}

test("two systems that start at the same time have it made once, and later ones find it", async (t) => {
  const path = pathIn(t);
  let made = 0;
  const make = async () => {
    made += 1;
    await setImmediate();
    writeFileSync(path, "");
  };
  assert.deepEqual(await Promise.all([madeOnce(path, make), madeOnce(path, make)]), [path, path]);
  await madeOnce(path, make);
  assert.equal(made, 1);
});

test("what could not be made fails for all who waited, and is made for whoever asks again", async (t) => {
  const path = pathIn(t);
  const fail = async () => {
    await setImmediate();
    throw new Error("no network");
  };
  const both = await Promise.allSettled([madeOnce(path, fail), madeOnce(path, fail)]);
  assert.deepEqual(
    both.map(({ status }) => status),
    ["rejected", "rejected"],
  );
  assert.equal(await madeOnce(path, async () => writeFileSync(path, "")), path);
});
