/** `make chaos-cluster`: the catalogue on the cluster. Exit codes: 0 all Passed, 1 one Failed, 2 one Inconclusive, 3 wrong use or no cluster. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "@ordermesh/chaos/report";
import { renderJunitOf } from "@ordermesh/chaos/report-junit";
import type { ExperimentStatus } from "@ordermesh/chaos/status";
import { exitCodeOf, figuresOf, seenIn } from "@ordermesh/chaos/summary";
import { NAMESPACE, ROOT } from "@ordermesh/cluster/tools";
import type { KubeObject } from "@ordermesh/kubernetes/kube-api";
import { connectKube } from "@ordermesh/kubernetes/kube-config";
import { type Row, tableOf } from "@ordermesh/meshctl/output";
import { readCommandLine } from "@ordermesh/runtime/command-line";
import { parse } from "yaml";
import { runOn } from "./follow.ts";
import { shardOf } from "./shard.ts";

const CATALOGUE = join(ROOT, "k8s/chaos");
const BACKEND_LABEL = "chaos.ordermesh.dev/backend";
/** Back ends of files that are run without being named. */
const MEANT: readonly string[] = ["any", "cluster"];
const BUDGET_MINUTES = "20";
const HELP = `Usage: node test/chaos-cluster/main.ts [options] [FILE...]

Runs experiments of k8s/chaos one after another on a cluster with the controller (chaos.enabled of the chart); all that are meant for a
cluster when none is named.

  --context NAME     of the kubeconfig (default kind-ordermesh)
  --namespace NAME   (default ${NAMESPACE})
  --minutes N        begins no further one after so long (default ${BUDGET_MINUTES})
  --shard I/N        only the I-th of N parts; all parts together are all experiments
  --junit FILE       (default .cache/chaos-cluster/junit.xml)
Exit codes: 0 all Passed, 1 one Failed, 2 one Inconclusive or left out, 3 wrong use or no cluster.
`;

type Result = {
  readonly name: string;
  readonly seconds: number;
  readonly status?: ExperimentStatus;
  readonly report?: Report;
};

const options = {
  context: { type: "string", default: "kind-ordermesh" },
  namespace: { type: "string", default: NAMESPACE },
  minutes: { type: "string", default: BUDGET_MINUTES },
  shard: { type: "string", default: "1/1" },
  junit: { type: "string", default: join(ROOT, ".cache/chaos-cluster/junit.xml") },
  help: { type: "boolean", default: false },
} as const;

const say = (line: string) => void process.stdout.write(`${line}\n`);
process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  return 3;
});

async function main(): Promise<number> {
  const { values, positionals } = readCommandLine({ options, allowPositionals: true }, HELP);
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const documents = shardOf(readDocuments(positionals), values.shard);
  const api = connectKube(values.context);
  const endsMs = performance.now() + Number(values.minutes) * 60_000;
  const results: Result[] = [];
  for (const [index, document] of documents.entries()) {
    const { name } = document.metadata;
    if (performance.now() > endsMs) {
      results.push({ name, seconds: 0 });
      continue;
    }
    say(`${name} (${index + 1} of ${documents.length}): ${document.spec.description}`);
    const beganMs = performance.now();
    const seconds = () => (performance.now() - beganMs) / 1_000;
    const { status, report } = await runOn({ api, namespace: values.namespace }, document, tellChanges(seconds));
    say(`  ${status.verdict} ${status.reason}: ${status.message}`);
    results.push({ name, seconds: seconds(), status, ...(report === undefined ? {} : { report }) });
    writeJunit(values.junit, results);
  }
  say(`\n${tableOf(results.map(rowOf))}`);
  return exitCodeOf(results, documents.length);
}

/** A line for each change of phase, and for what the fault was seen to do. */
function tellChanges(seconds: () => number): (status: ExperimentStatus) => void {
  let told = "";
  return (status) => {
    const { phase, message } = status;
    const line =
      phase === "Running" ? `${phase}${seenIn(status)}` : phase === "Pending" ? `${phase} ${message}` : phase;
    if (line !== told) say(`${seconds().toFixed(0).padStart(5)} s  ${line}`);
    told = line;
  };
}

/** @throws Error for a file that is not there */
function readDocuments(files: readonly string[]): KubeObject[] {
  const named = files.length > 0 ? files : readdirSync(CATALOGUE).filter((file) => file.endsWith(".yaml"));
  const all = named.map((file) => parse(readFileSync(file.includes("/") ? file : join(CATALOGUE, file), "utf8")));
  return files.length > 0 ? all : all.filter(({ metadata }) => MEANT.includes(metadata.labels[BACKEND_LABEL]));
}

function writeJunit(file: string, results: readonly Result[]): void {
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, renderJunitOf(results.flatMap(({ report }) => report ?? [])));
}

function rowOf({ name, seconds, status }: Result): Row {
  const experiment = { experiment: name };
  if (status === undefined)
    return {
      ...experiment,
      verdict: "",
      reason: "no time left",
      accepted: "",
      evidence: "",
      ttr: "",
      seconds: "",
      message: "",
    };
  const { verdict, reason } = status;
  const { ttr, ...figures } = figuresOf(status);
  const message = verdict === "Passed" ? (status.faultEvidence?.detail ?? "") : status.message;
  const times = { ttr: ttr === "" ? "" : `${ttr} s`, seconds: seconds.toFixed(0) };
  return { ...experiment, verdict, reason, ...figures, ...times, message };
}
