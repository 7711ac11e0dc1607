/** The command for operators: `topics` makes them, `replay` dead letters, `reset` a group's offsets. Exit codes: 0 done, 1 failed, 2 wrong use. */
import { parseArgs } from "node:util";
import { systemClock } from "@ordermesh/mesh/clock";
import { loadConfig } from "@ordermesh/runtime/config";
import { createLogger } from "@ordermesh/runtime/log";
import type { Batch } from "./bus.ts";
import { Remaining, revive } from "./dead-letters.ts";
import { KafkaBus } from "./kafka.ts";
import { EVENT_SETTINGS, kafkaAccess } from "./settings.ts";
import { TOPICS } from "./topics.ts";

const REPLAY_GROUP = "dead-letters-replay";
const { relayChunk: _, ...ACCESS_SETTINGS } = EVENT_SETTINGS;
const RESET_TO: readonly string[] = ["earliest", "latest"];
const HELP = `Usage: node packages/events/src/main.ts <command> [options]

Commands:
  topics   make the topics that are missing; waits for Kafka
             --replicas N     copies of each partition (default 1)
  replay   send dead letters back to their topics, each once; those that were handled after all have no second effect
             --reason TEXT    only those whose reason contains TEXT; the others are passed over
             --dry-run        only list them
             To see all dead letters again: reset --group ${REPLAY_GROUP} --topic ${TOPICS.deadLetters} --to earliest
  reset    make a consumer group begin again; its members must be stopped
             --group NAME --topic NAME --to earliest|latest

Options:
  --brokers LIST   Kafka bootstrap addresses (default $MESH_KAFKA_BROKERS or 127.0.0.1:9092)
  --help           this text
MESH_KAFKA_CA_FILE, MESH_KAFKA_USERNAME and MESH_KAFKA_PASSWORD are read as by the services.
`;

const options = {
  brokers: { type: "string", default: process.env.MESH_KAFKA_BROKERS ?? "127.0.0.1:9092" },
  replicas: { type: "string", default: "1" },
  reason: { type: "string", default: "" },
  "dry-run": { type: "boolean", default: false },
  group: { type: "string", default: "" },
  topic: { type: "string", default: "" },
  to: { type: "string", default: "" },
  help: { type: "boolean", default: false },
} as const;
type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>["values"];

process.exitCode = await main().catch((error: unknown) => fail(1, error instanceof Error ? error.message : "unknown"));

async function main(): Promise<number> {
  const args = readArgs();
  if (args === undefined) return fail(2, HELP);
  const { command, values } = args;
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const isReset = command === "reset" && values.group !== "" && values.topic !== "" && RESET_TO.includes(values.to);
  const isTopics = command === "topics" && /^[1-9]$/.test(values.replicas);
  if (command !== "replay" && !isReset && !isTopics) return fail(2, HELP);
  const log = createLogger({ service: "events", instance: "cli", version: "", level: "error" });
  const access = kafkaAccess(loadConfig(ACCESS_SETTINGS, { ...readKafkaEnv(), MESH_KAFKA_BROKERS: values.brokers }));
  const bus = new KafkaBus({ ...access, clientId: "ordermesh-events-cli", log, clock: systemClock });
  if (isTopics) {
    await bus.ensureTopics(Number(values.replicas));
    await bus.close();
    return 0;
  }
  if (!(await bus.isReachable())) return fail(1, `Kafka does not answer at ${values.brokers}`);
  try {
    await (isReset ? reset(bus, values) : replay(bus, values));
    return 0;
  } finally {
    await bus.close();
  }
}

/** Other settings of a service's container are not this command's. */
function readKafkaEnv(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith("MESH_KAFKA_")));
}

function readArgs(): { command: string | undefined; values: Values } | undefined {
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    return { command: positionals[0], values };
  } catch {
    return undefined;
  }
}

/** Ends with what was there when it began: a letter that comes back does not go round in circles. */
async function replay(bus: KafkaBus, { reason, "dry-run": isDry }: Values): Promise<void> {
  const left = new Remaining(await bus.unread(REPLAY_GROUP, TOPICS.deadLetters));
  const counts = { replayed: 0, passed: 0 };
  const handle = async ({ records, skip, commit }: Batch) => {
    const wanted = records.filter(({ headers }) => headers.dlq_reason?.toString().includes(reason));
    const revived = wanted.flatMap((record) => revive(record) ?? []);
    for (const { headers, key } of wanted)
      process.stdout.write(
        `${headers.dlq_topic}/${headers.dlq_partition}@${headers.dlq_offset} ${key} ${headers.dlq_reason}\n`,
      );
    if (isDry) {
      skip();
    } else {
      if (revived.length > 0) await bus.publishRaw(revived);
      await commit();
    }
    counts.replayed += revived.length;
    counts.passed += records.length - revived.length;
  };
  if (!left.isEmpty)
    await new Promise<void>((resolve, reject) => {
      let running = 0;
      const handleAndEnd = async (batch: Batch) => {
        if (left.isEmpty) return; // It came later, and is left to the next one.
        running += 1;
        await handle(batch).finally(() => {
          running -= 1;
        });
        left.handled(batch.partition, batch.records.at(-1)?.offset ?? "-1");
        if (left.isEmpty && running === 0) resolve();
      };
      bus.consume(REPLAY_GROUP, [TOPICS.deadLetters], handleAndEnd, reject);
    });
  process.stdout.write(
    `${counts.replayed} ${isDry ? "would be replayed" : "replayed"}, ${counts.passed} passed over\n`,
  );
}

async function reset(bus: KafkaBus, { group, topic, to }: Values): Promise<void> {
  await bus.resetOffsets(group, topic, to === "latest" ? "latest" : "earliest");
  process.stdout.write(`${group} begins at the ${to} offsets of ${topic}\n`);
}

function fail(code: number, message: string): number {
  process.stderr.write(message.endsWith("\n") ? message : `${message}\n`);
  return code;
}
