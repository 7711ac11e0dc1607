/** `meshctl chaos`: experiments on processes of this machine. */
import type { ExperimentStatus } from "@ordermesh/chaos/status";
import { readCatalogue } from "@ordermesh/chaos-local/catalogue";
import { ChaosSystem } from "@ordermesh/chaos-local/chaos-system";
import { exitCodeOf, type Result, runAll } from "@ordermesh/chaos-local/run-all";
import { progressTo } from "@ordermesh/local/progress";
import type { Output, Row } from "./output.ts";

export type ChaosContext = {
  readonly output: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Progress, one line at a time; not mixed with the output. */
  readonly progress: NodeJS.WriteStream;
  readonly signal: AbortSignal;
};

/** Resolves with the exit code. @throws ExperimentFileError before anything is started */
export async function runFiles(
  { output, env, progress, signal }: ChaosContext,
  files: readonly string[],
): Promise<number> {
  const experiments = readCatalogue(files);
  const say = (line: string) => void progress.write(`${line}\n`);
  const start = () => ChaosSystem.start({ name: "chaos", env, progress: progressTo(progress), signal });
  const results = await runAll(experiments, { start, signal, say });
  output.rows(results.map(toRow), "no experiment was run");
  return exitCodeOf(results, experiments.length);
}

function toRow({ experiment, status, seconds }: Result): Row {
  return {
    experiment: experiment.name,
    verdict: status.verdict,
    reason: status.reason,
    accepted: acceptedIn(status),
    evidence: evidenceOf(status),
    ttr: status.timeToRecoverSeconds ?? "",
    seconds: Math.round(seconds),
    message: status.message,
  };
}

/** Before, during and after the fault. */
function acceptedIn({ accepted: { before, during, after } }: ExperimentStatus): string {
  return `${before}/${during}/${after}`;
}

function evidenceOf({ faultEvidence }: ExperimentStatus): string {
  return faultEvidence === undefined ? "" : `${faultEvidence.observed}/${faultEvidence.expected}`;
}
