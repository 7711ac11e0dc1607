/** Which experiments are meant by the names of files and folders. */
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Experiment } from "@ordermesh/chaos/backend";
import { ExperimentFileError, readExperiments } from "@ordermesh/chaos/experiment-file";
import { parse } from "yaml";

const BACKEND_LABEL = "chaos.ordermesh.dev/backend";

/**
 * All experiments of the files, in their order; of a folder those files that are meant for processes.
 * @throws ExperimentFileError with a line for everything that is wrong in any of them
 */
export function readCatalogue(paths: readonly string[]): Experiment[] {
  const problems: string[] = [];
  const experiments = paths.flatMap(filesOf).flatMap((file) => {
    try {
      return readExperiments(readText(file), { createdAtMs: Date.now(), uid: () => randomUUID() });
    } catch (error) {
      if (!(error instanceof ExperimentFileError)) throw error;
      problems.push(...error.message.split("\n").map((line) => `${file}: ${line}`));
      return [];
    }
  });
  if (problems.length > 0) throw new ExperimentFileError(problems.join("\n"));
  if (experiments.length === 0) throw new ExperimentFileError(`no experiment is in ${paths.join(", ")}`);
  return experiments;
}

function filesOf(path: string): string[] {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [path];
  const files = readdirSync(path).filter((name) => name.endsWith(".yaml"));
  return files
    .sort()
    .map((name) => join(path, name))
    .filter(isForProcesses);
}

/** One that cannot be read is, so that somebody is told. */
function isForProcesses(file: string): boolean {
  try {
    return parse(readText(file))?.metadata?.labels?.[BACKEND_LABEL] !== "cluster";
  } catch {
    return true;
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new ExperimentFileError(`cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
