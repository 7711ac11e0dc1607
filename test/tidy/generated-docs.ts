/** Renders docs/telemetry.md and docs/config.md from the code, and finds the error reasons that docs/errors.md must list. */
import { readdirSync } from "node:fs";
import { renderSettings } from "@ordermesh/runtime/config";
import { productionFiles, ROOT, type SourceFile } from "./sources.ts";

type Metric = { name: string; type: string; help: string; labels: string; path: string };

const METRIC = /new (Counter|Gauge|Histogram|Summary)(?:<[^>]*>)?\(\{([\s\S]*?)\n?\s*(?:registers|collect)\b/g;

/** All metrics that the code declares, by name. */
export function findMetrics(files: readonly SourceFile[]): Metric[] {
  const metrics = productionFiles(files).flatMap(({ path, text }) =>
    [...text.matchAll(METRIC)].map(([, type = "", body = ""]) => ({
      name: /name: "([^"]+)"/.exec(body)?.[1] ?? "",
      type: type.toLowerCase(),
      help: /help:\s*"([^"]+)"/.exec(body)?.[1] ?? "",
      labels: (/labelNames: \[([^\]]*)\]/.exec(body)?.[1] ?? "").replaceAll('"', "").trim(),
      path: path.split("/").slice(0, 2).join("/"),
    })),
  );
  return metrics.sort((a, b) => a.name.localeCompare(b.name) || a.path.localeCompare(b.path));
}

/** docs/telemetry.md. */
export function renderTelemetry(files: readonly SourceFile[]): string {
  const rows = findMetrics(files).map(
    ({ name, type, labels, help, path }) => `| \`${name}\` | ${type} | ${labels} | ${help} | ${path} |`,
  );
  return `${GENERATED}# Telemetry

Every process serves Prometheus metrics on its admin port under \`/metrics\`. The names are OpenTelemetry's semantic
conventions in Prometheus spelling, the rest is prefixed by its subject. Labels never hold user input. prom-client's
default process metrics (\`process_*\`, \`nodejs_*\`) come on top.

| metric | type | labels | what it says | declared in |
| --- | --- | --- | --- | --- |
${rows.join("\n")}

Logs are JSON lines on standard output (pino): constant lower-case messages, facts as keys, \`trace_id\` where a call or
an event is being handled. Requests, card tokens and addresses are never logged.
`;
}

/** docs/config.md. */
export async function renderConfig(): Promise<string> {
  const sections: string[] = [];
  for (const service of readdirSync(`${ROOT}services`).sort()) {
    const config: { SETTINGS?: Parameters<typeof renderSettings>[0] } = await import(
      `${ROOT}services/${service}/src/config.ts`
    );
    if (config.SETTINGS !== undefined) sections.push(`## ${service}\n\n${renderSettings(config.SETTINGS)}`);
  }
  return `${GENERATED}# Configuration

Every process reads its configuration once, from environment variables that start with \`MESH_\`; wrong or unknown ones
are reported together and the process exits with code 2 before it opens a port.

${sections.join("\n\n").trim()}
`;
}

const GENERATED = "<!-- Made by `make gen` from the code; a test fails when it is stale. -->\n\n";

/** `REASON` to its kinds, for every MeshError that the code can raise. */
export function findReasons(files: readonly SourceFile[]): Map<string, string> {
  const reasons = new Map<string, string>();
  for (const { text } of productionFiles(files))
    for (const [, kind = "", reason = ""] of text.matchAll(/new MeshError\(\s*"([a-z-]+)",\s*"([A-Z0-9_]+)"/g))
      reasons.set(reason, kind);
  return reasons;
}
