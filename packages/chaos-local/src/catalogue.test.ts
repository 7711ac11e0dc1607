import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { readCatalogue } from "./catalogue.ts";

const SPEC = {
  target: { selector: { matchLabels: { app: "payment" } }, maxTargets: 1, maxPercent: 50 },
  action: { type: "Freeze", freeze: {} },
  durationSeconds: 10,
  deadlineSeconds: 300,
};

function folderOf(t: TestContext, files: Readonly<Record<string, unknown>>): string {
  const dir = mkdtempSync(join(tmpdir(), "catalogue-"));
  t.after(() => rmSync(dir, { recursive: true }));
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(dir, name), typeof content === "string" ? content : JSON.stringify(content));
  return dir;
}

function resource(name: string, backend: string, change: object = {}): object {
  return {
    apiVersion: "chaos.ordermesh.dev/v1alpha1",
    kind: "ChaosExperiment",
    metadata: { name, labels: { "chaos.ordermesh.dev/backend": backend } },
    spec: { ...SPEC, ...change },
  };
}

test("a folder gives what is meant for processes, a file whatever it holds", (t) => {
  const files = {
    "b.yaml": resource("b", "any"),
    "a.yaml": resource("a", "process"),
    "c.yaml": resource("c", "cluster"),
  };
  const dir = folderOf(t, { ...files, "README.md": "# not an experiment" });
  const names = (paths: string[]) => readCatalogue(paths).map(({ name }) => name);
  assert.deepEqual(names([dir]), ["a", "b"]);
  assert.deepEqual(names([join(dir, "c.yaml"), join(dir, "a.yaml")]), ["c", "a"]);
  assert.equal(new Set(readCatalogue([dir]).map(({ uid }) => uid)).size, 2);
});

test("everything that is wrong is told at once, with the file and the field", (t) => {
  const wrong = resource("a", "any", { durationSeconds: 0, deadlineSeconds: "soon" });
  const dir = folderOf(t, { "a.yaml": wrong, "b.yaml": "{", "good.yaml": resource("good", "any") });
  assert.throws(
    () => readCatalogue([dir, join(dir, "missing.yaml")]),
    ({ message }: Error) => {
      const lines = message.split("\n");
      assert.ok(
        lines.some((line) => /a\.yaml: a: spec\.durationSeconds: /.test(line)),
        message,
      );
      assert.ok(
        lines.some((line) => /a\.yaml: a: spec\.deadlineSeconds: /.test(line)),
        message,
      );
      assert.ok(
        lines.some((line) => /b\.yaml: /.test(line)),
        message,
      );
      assert.ok(
        lines.some((line) => /missing\.yaml: cannot be read/.test(line)),
        message,
      );
      return true;
    },
  );
});

test("a folder without experiments is told to be one", (t) => {
  assert.throws(() => readCatalogue([folderOf(t, {})]), /no experiment is in/);
});
