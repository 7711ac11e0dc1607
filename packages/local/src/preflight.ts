/** Looks for what would make a start fail, before anything is started: one sentence for each problem. */
import { existsSync, readFileSync, statfsSync } from "node:fs";
import { isPortTaken } from "./part.ts";
import type { PartName, Source } from "./sources.ts";
import type { SystemState } from "./system.ts";

const MIN_FREE_BYTES = 2 * 1024 ** 3;
const MIN_NODE = [24, 12] as const;

type Options = {
  readonly sources: Readonly<Record<PartName, Source>>;
  readonly httpPort: number;
  readonly dir: string;
  readonly nodeVersion: string;
};

export async function findProblems({ sources, httpPort, dir, nodeVersion }: Options): Promise<string[]> {
  const problems = Object.values(sources).flatMap((source) => (source.kind === "missing" ? [source.sentence] : []));
  const [major = 0, minor = 0] = nodeVersion.split(".").map(Number);
  if (major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1]))
    problems.push(
      `Node ${nodeVersion} is too old: run it through make or npm, which bring Node ${MIN_NODE.join(".")} or newer.`,
    );
  if (httpPort !== 0 && (await isPortTaken(httpPort, "127.0.0.1")))
    problems.push(
      `Port ${httpPort} is in use: stop what listens there, or choose another with MESH_HTTP_PORT=8081 make start.`,
    );
  const { bavail, bsize } = statfsSync(dir);
  if (bavail * bsize < MIN_FREE_BYTES) problems.push(`Less than 2 GiB are free below ${dir}: make room first.`);
  return problems;
}

/** One line for each part: where it would come from. */
export function describeSources(sources: Readonly<Record<PartName, Source>>): string[] {
  return Object.entries(sources).map(([part, source]) => `${part.padEnd(9)} ${describe(part, source)}`);
}

/** The running system that wrote the file; undefined when there is none or it has died. */
export function readState(file: string): SystemState | undefined {
  if (!existsSync(file)) return undefined;
  const state: SystemState = JSON.parse(readFileSync(file, "utf8"));
  try {
    process.kill(state.pid, 0);
    return state;
  } catch {
    return undefined;
  }
}

function describe(part: string, source: Source): string {
  switch (source.kind) {
    case "address":
      return `is used at ${source.address.replace(/\/\/[^@/]*@/, "//…@")} (from the environment)`;
    case "binary":
      return `from ${source.path}`;
    case "toolchain":
      return (
        {
          etcd: "built once with Go",
          kafka: "fetched once with Maven, run with Java",
          postgres: "from the npm package",
        }[part] ?? ""
      );
    case "image":
      return `from the image ${source.image}`;
    case "missing":
      return `MISSING: ${source.sentence}`;
  }
}
