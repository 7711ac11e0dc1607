/** `clear`, which the chart runs before an uninstall. Exit codes: 0 done, 1 failed, 2 wrong use. */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { KubernetesApi } from "./api.ts";
import { removeFinalized } from "./remove-finalized.ts";

const TOPICS_GRACE_MS = 60_000;
/** Faults are undone before an experiment goes. */
const EXPERIMENTS_GRACE_MS = 120_000;
const HELP = `Usage: node packages/kubernetes/src/main.ts clear --namespace NAME --release NAME [--experiments] [--topics]

Deletes what cannot go once the release is gone, and waits until it is: ChaosExperiments of the namespace, which are healed first, and
KafkaTopics of the release. Runs inside of the cluster.
`;

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  return 1;
});

async function main(): Promise<number> {
  const { values, positionals } = readArgs();
  const { namespace, release } = values;
  if (values.help || positionals[0] !== "clear" || namespace === "" || release === "") {
    (values.help ? process.stdout : process.stderr).write(HELP);
    return values.help ? 0 : 2;
  }
  const api = KubernetesApi.inCluster(namespace);
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  const common = { nowMs: () => performance.now(), sleep, say };
  // Experiments first: an undone fault may need all that runs.
  if (values.experiments)
    await removeFinalized({
      ...common,
      objects: api.experiments(),
      what: "experiments",
      graceMs: EXPERIMENTS_GRACE_MS,
    });
  if (values.topics)
    await removeFinalized({ ...common, objects: api.topics(release), what: "topics", graceMs: TOPICS_GRACE_MS });
  return 0;
}

function readArgs() {
  const text = { type: "string", default: "" } as const;
  const flag = { type: "boolean", default: false } as const;
  const options = { namespace: text, release: text, experiments: flag, topics: flag, help: flag } as const;
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch {
    return parseArgs({ options, args: [], allowPositionals: true });
  }
}
