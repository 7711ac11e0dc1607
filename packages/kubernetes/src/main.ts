/** `remove-topics`, which the chart runs before an uninstall. Exit codes: 0 done, 1 failed, 2 wrong use. */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { KubernetesApi } from "./api.ts";
import { removeTopics } from "./remove-topics.ts";

const GRACE_MS = 60_000;
const HELP = `Usage: node packages/kubernetes/src/main.ts remove-topics --namespace NAME --release NAME

Deletes the KafkaTopics of a Helm release and waits until they are gone. Runs inside of the cluster.
`;

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  return 1;
});

async function main(): Promise<number> {
  const { values, positionals } = readArgs();
  const { namespace, release } = values;
  if (values.help || positionals[0] !== "remove-topics" || namespace === "" || release === "") {
    (values.help ? process.stdout : process.stderr).write(HELP);
    return values.help ? 0 : 2;
  }
  const api = KubernetesApi.inCluster(namespace);
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  await removeTopics({ api, release, graceMs: GRACE_MS, nowMs: () => performance.now(), sleep, say });
  return 0;
}

function readArgs() {
  const text = { type: "string", default: "" } as const;
  const options = { namespace: text, release: text, help: { type: "boolean", default: false } } as const;
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch {
    return parseArgs({ options, args: [], allowPositionals: true });
  }
}
