/** Ties docs/errors.md, docs/telemetry.md and docs/config.md to the code, in both directions. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { renderChartReadme } from "./chart-readme.ts";
import { clusterFiles } from "./generated-crd.ts";
import { findMetrics, findReasons, renderConfig, renderTelemetry } from "./generated-docs.ts";
import { listFiles } from "./sources.ts";

const files = listFiles();
const textOf = (path: string) => files.find((file) => file.path === path)?.text ?? "";

test("docs/errors.md lists every reason with its kind, and no other", () => {
  const listed = new Map(
    [...textOf("docs/errors.md").matchAll(/^\| `([A-Z0-9_]+)` \| ([a-z-]+) \|/gm)].map(([, reason = "", kind = ""]) => [
      reason,
      kind,
    ]),
  );
  const inCode = findReasons(files);
  assert.ok(inCode.size > 10, "the scan must find the reasons");
  assert.deepEqual([...listed].sort(), [...inCode].sort());
});

test("docs/telemetry.md is what the code declares", () => {
  assert.equal(textOf("docs/telemetry.md"), renderTelemetry(files), "run `make gen`");
});

test("every metric has a name, a help text and an ending that tells its unit", () => {
  const metrics = findMetrics(files);
  assert.ok(metrics.length > 10, "the scan must find the metrics");
  const declared = files
    .filter(({ path }) => /^(packages|services)\/[^/]+\/src\//.test(path) && !path.endsWith(".test.ts"))
    .reduce(
      (sum, { text }) => sum + (text.match(/new (Counter|Gauge|Histogram|Summary)(<[^>]*>)?\(/g)?.length ?? 0),
      0,
    );
  assert.equal(metrics.length, declared, "a declaration that the scan cannot read: spell it as the others");
  const wrong = metrics.filter(
    ({ name, help, type }) => name === "" || help === "" || (type === "counter" && !name.endsWith("_total")),
  );
  assert.deepEqual(wrong, []);
});

test("docs/config.md is what the settings tables say", async () => {
  assert.equal(textOf("docs/config.md"), await renderConfig(), "run `make gen`");
});

test("the experiments' CRD is what the schema says, and the chart has the same files as k8s/", () => {
  for (const [path, text] of Object.entries(clusterFiles()))
    assert.equal(textOf(path), text, `${path}: run \`make gen\``);
});

test("helm/ordermesh/README.md is what the values say", () => {
  assert.equal(textOf("helm/ordermesh/README.md"), renderChartReadme(), "run `make gen`");
});
