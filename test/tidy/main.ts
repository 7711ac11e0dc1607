/** Writes the documents that are generated from the code: `node test/tidy/main.ts`. */
import { writeFileSync } from "node:fs";
import { renderConfig, renderTelemetry } from "./generated-docs.ts";
import { listFiles, ROOT } from "./sources.ts";

writeFileSync(`${ROOT}docs/telemetry.md`, renderTelemetry(listFiles()));
writeFileSync(`${ROOT}docs/config.md`, await renderConfig());
process.stdout.write("wrote docs/telemetry.md and docs/config.md\n");
