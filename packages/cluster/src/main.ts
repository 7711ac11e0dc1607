/** `make up`, `make down`, `make status`. Exit codes: 0 done, 1 failed, 2 wrong use. */
import { parseArgs } from "node:util";
import { progressTo } from "@ordermesh/local/progress";
import { dev, down, KAFKA_MODES, PROFILES, status, type UpOptions, URLS, up } from "./cluster.ts";
import { lookAround, problemsOf } from "./preflight.ts";

const HELP = `Usage: node packages/cluster/src/main.ts up|dev|down|status [options]

  up       makes the kind cluster ordermesh if there is none, builds the image, installs the chart, and verifies with an order;
           again: brings what runs to what is in this folder
  dev      the same, but a changed line is copied into what runs and is live in seconds; Ctrl-C ends it and takes the release away
  status   what runs
  down     deletes the cluster and all its data

Options of up and dev:
  --kafka strimzi|embedded    strimzi uses the operator that is there, or installs it (default strimzi)
  --profile dev|default|ha    how much of everything (default dev; default with --chaos, as experiments want two of a service)
  --chaos                     runs ChaosExperiments too, and lets services be disturbed by them
`;

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  return 1;
});

async function main(): Promise<number> {
  const args = readArgs();
  if (args === undefined) {
    process.stderr.write(HELP);
    return 2;
  }
  const { command, ...what } = args;
  if (command === "help") {
    process.stdout.write(HELP);
    return 0;
  }
  const makes = command === "up" || command === "dev";
  const facts = await lookAround(makes && what.kafka === "strimzi");
  const problems = problemsOf(facts, command === "dev" ? "dev" : "up");
  if (makes ? problems.length > 0 : !facts.isDockerUp) throw new Error(problems.join("\n"));
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  if (command === "down") await down();
  else if (command === "status") say([await status(), ...URLS].join("\n"));
  else if (command === "dev") return await dev({ ...what, progress: progressTo(process.stdout), say });
  else {
    const tag = await up({ ...what, progress: progressTo(process.stdout), say });
    say([`Ordermesh ${tag} runs.`, ...URLS].join("\n"));
  }
  return 0;
}

function readArgs(): (Pick<UpOptions, "kafka" | "profile" | "chaos"> & { command: string }) | undefined {
  try {
    const { values, positionals } = parseArgs({
      options: {
        kafka: { type: "string", default: "strimzi" },
        profile: { type: "string" },
        chaos: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
      allowPositionals: true,
    });
    const kafka = KAFKA_MODES.find((mode) => mode === values.kafka);
    const wanted = values.profile ?? (values.chaos ? "default" : "dev");
    const profile = PROFILES.find((name) => name === wanted);
    const [command = ""] = values.help ? ["help"] : positionals;
    if (kafka === undefined || profile === undefined || !["help", "up", "dev", "down", "status"].includes(command))
      return undefined;
    return { command, kafka, profile, chaos: values.chaos };
  } catch {
    return undefined;
  }
}
