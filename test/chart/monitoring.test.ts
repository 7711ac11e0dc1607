/** Alerts, recording rules and dashboards. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "@ordermesh/cluster/tools";
import { parse } from "yaml";
import { CHART, has } from "./render.ts";

test("alerts fire when they should, and not else", {
  skip: has("promtool") ? false : "promtool is not installed",
}, () => {
  execFileSync("promtool", ["test", "rules", join(CHART, "files/rules.test.yaml")], { stdio: "pipe" });
});

test("rules and dashboards ask for metrics that exist", () => {
  const known = new Set(
    [...readFileSync(join(ROOT, "docs/telemetry.md"), "utf8").matchAll(/^\| `([a-z_]+)`/gm)].map(
      ([, name = ""]) => name,
    ),
  );
  const rules: { groups: { rules: { expr: string; record?: string }[] }[] } = parse(
    readFileSync(join(CHART, "files/rules.yaml"), "utf8"),
  );
  const dashboard: { panels: { targets: { expr: string }[] }[] } = JSON.parse(
    readFileSync(join(CHART, "files/dashboards/ordermesh.json"), "utf8"),
  );
  const queries = [
    ...rules.groups.flatMap(({ rules: own }) => own.map(({ expr }) => expr)),
    ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
  ];
  const asked = new Set(
    queries.flatMap((query) =>
      [
        ...query.matchAll(
          /(?<![:\w])((?:mesh|rpc|http|saga|orders|outbox|messaging|inbox|storefront|db)_[a-z_]+)(?=[{[)\s>]|$)/g,
        ),
      ].map(([, name = ""]) => name.replace(/_(count|bucket|sum)$/, "")),
    ),
  );
  const labels = new Set([
    "rpc_method",
    "rpc_status_code",
    "http_route",
    "http_response_status_code",
    "messaging_destination_name",
  ]);
  assert.ok(asked.size > 15, [...asked].join(" "));
  assert.deepEqual(
    [...asked].filter((name) => !known.has(name) && !labels.has(name)),
    [],
  );
});
