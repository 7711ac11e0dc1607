/** The command for operators: `replay` dead letters, `reset` a group's offsets. Exit codes: 0 done, 1 failed, 2 wrong use. */
import { parseArgs } from "node:util";
import { systemClock } from "@ordermesh/mesh/clock";
import { createLogger } from "@ordermesh/runtime/log";
import { type Batch, KafkaBus } from "./kafka.ts";
import { revive } from "./replay.ts";
import { TOPICS } from "./topics.ts";

const HELP = `Usage: node packages/events/src/main.ts <command> [options]

Commands:
  replay   send dead letters back to their topics; each once
             --reason TEXT    only those whose reason contains TEXT
             --idle-ms N      stop when nothing came for N ms (default 5000)
             --dry-run        only count and list them
  reset    make a consumer group begin again; its members must be stopped
             --group NAME --topic NAME --to earliest|latest

Options:
  --brokers LIST   Kafka bootstrap addresses (default $MESH_KAFKA_BROKERS or 127.0.0.1:9092)
  --help           this text
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    brokers: { type: "string", default: process.env.MESH_KAFKA_BROKERS ?? "127.0.0.1:9092" },
    reason: { type: "string", default: "" },
    "idle-ms": { type: "string", default: "5000" },
    "dry-run": { type: "boolean", default: false },
    group: { type: "string" },
    topic: { type: "string" },
    to: { type: "string", default: "earliest" },
    help: { type: "boolean", default: false },
  },
});

const log = createLogger({ service: "events", instance: "cli", version: "", level: "error" });
const bus = new KafkaBus({
  brokers: values.brokers.split(","),
  clientId: "ordermesh-events-cli",
  log,
  clock: systemClock,
});

if (values.help) process.stdout.write(HELP);
else if (positionals[0] === "replay") await replay();
else if (positionals[0] === "reset") await reset();
else {
  process.stderr.write(HELP);
  process.exitCode = 2;
}

async function replay(): Promise<void> {
  let lastMs = systemClock.nowMs();
  const counts = { replayed: 0, skipped: 0 };
  const handle = async ({ records, commit }: Batch) => {
    lastMs = systemClock.nowMs();
    const wanted = records.filter(({ headers }) => (headers.dlq_reason?.toString() ?? "").includes(values.reason));
    const revived = wanted.flatMap((record) => revive(record) ?? []);
    counts.replayed += revived.length;
    counts.skipped += records.length - revived.length;
    for (const { headers, offset } of wanted)
      process.stdout.write(`${offset} ${headers.dlq_topic} ${headers.dlq_reason}\n`);
    if (values["dry-run"]) return;
    await bus.publishRaw(revived);
    await commit();
  };
  const fail = (error: Error) => {
    process.stderr.write(`replay failed: ${error.message}\n`);
    process.exit(1);
  };
  bus.consume(values["dry-run"] ? "dead-letters-preview" : "dead-letters-replay", [TOPICS.deadLetters], handle, fail);
  while (systemClock.nowMs() - lastMs < Number(values["idle-ms"])) await systemClock.sleep(200);
  await bus.close();
  process.stdout.write(
    `${counts.replayed} ${values["dry-run"] ? "would be replayed" : "replayed"}, ${counts.skipped} skipped\n`,
  );
}

async function reset(): Promise<void> {
  const { group, topic, to } = values;
  if (group === undefined || topic === undefined || (to !== "earliest" && to !== "latest")) {
    process.stderr.write("reset needs --group, --topic and --to earliest|latest\n");
    process.exitCode = 2;
    return;
  }
  await bus.resetOffsets(group, topic, to);
  process.stdout.write(`${group} begins at the ${to} offsets of ${topic}\n`);
}
