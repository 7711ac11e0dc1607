/** Writes the files that are generated from the code: `node test/tidy/main.ts`. */
import { writeFileSync } from "node:fs";
import { policySchema } from "@ordermesh/mesh/policy";
import { renderChartReadme } from "./chart-readme.ts";
import { clusterFiles } from "./generated-crd.ts";
import { renderConfig, renderTelemetry } from "./generated-docs.ts";
import { listFiles, ROOT } from "./sources.ts";

writeFileSync(`${ROOT}docs/telemetry.md`, renderTelemetry(listFiles()));
writeFileSync(`${ROOT}docs/config.md`, await renderConfig());
writeFileSync(`${ROOT}packages/mesh/policy.schema.json`, `${JSON.stringify(policySchema(), null, 2)}\n`);
writeFileSync(`${ROOT}helm/ordermesh/README.md`, renderChartReadme());
for (const [path, text] of Object.entries(clusterFiles())) writeFileSync(ROOT + path, text);
process.stdout.write(
  "wrote docs/telemetry.md, docs/config.md, helm/ordermesh/README.md, packages/mesh/policy.schema.json and the files of experiments\n",
);
