/** A member of a consumer group that handles nothing: the group shares out its partitions anew, and what was read can be read again. */
import { setTimeout as sleep } from "node:timers/promises";
import { HEARTBEAT_MS, type KafkaOptions, newKafka, SESSION_TIMEOUT_MS } from "./kafka.ts";
import { TOPICS } from "./topics.ts";

const RETRY = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 10 };
/** The other members hear of it with their next heartbeat, and end their batches first. */
const JOIN_TIMEOUT_MS = 20_000;

type Kafka = ReturnType<typeof newKafka>;
type Partition = { readonly topic: string; readonly partition: number; readonly offset: bigint };

export class GroupVisitor {
  readonly #kafka: Kafka;
  readonly #groupId: string;
  readonly #consumer: ReturnType<Kafka["consumer"]>;
  /** Partitions that it got, by topic. */
  readonly assigned: Readonly<Record<string, readonly number[]>>;

  private constructor(
    kafka: Kafka,
    groupId: string,
    consumer: ReturnType<Kafka["consumer"]>,
    assigned: GroupVisitor["assigned"],
  ) {
    this.#kafka = kafka;
    this.#groupId = groupId;
    this.#consumer = consumer;
    this.assigned = assigned;
  }

  /** Resolves when the group has a place for it; `candidates` are the topics that the group may read. @throws Error for a group that has handled nothing yet, or when Kafka does not answer */
  static async join(
    options: KafkaOptions,
    groupId: string,
    candidates: readonly string[] = [TOPICS.orders, TOPICS.shipments],
  ): Promise<GroupVisitor> {
    const kafka = newKafka(options, RETRY);
    // A member that leads the group shares out the topics that it knows: it must know all of them.
    const topics = [...new Set((await committedOf(kafka, groupId, candidates)).map(({ topic }) => topic))];
    if (topics.length === 0) throw new Error(`the consumer group ${groupId} has handled nothing yet`);
    const consumer = kafka.consumer({
      groupId,
      sessionTimeout: SESSION_TIMEOUT_MS,
      rebalanceTimeout: SESSION_TIMEOUT_MS,
      heartbeatInterval: HEARTBEAT_MS,
      allowAutoTopicCreation: false,
    });
    const joined = new Promise<GroupVisitor["assigned"]>((resolve) => {
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => resolve(payload.memberAssignment));
    });
    try {
      await consumer.connect();
      await consumer.subscribe({ topics });
      await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: async () => undefined });
      consumer.pause(topics.map((topic) => ({ topic })));
      const late = sleep(JOIN_TIMEOUT_MS, undefined, { ref: false }).then(() => {
        throw new Error(`the consumer group ${groupId} had no place for a new member in ${JOIN_TIMEOUT_MS / 1_000} s`);
      });
      return new GroupVisitor(kafka, groupId, consumer, await Promise.race([joined, late]));
    } catch (error) {
      await consumer.disconnect().catch(() => undefined);
      throw error;
    }
  }

  /**
   * Takes the group back by so many records in each partition of the topic that this member has; the group begins there once it
   * has left. Resolves with how many records will be read again.
   */
  async rewind(topic: string, records: number): Promise<number> {
    const own = this.assigned[topic] ?? [];
    const committed = await committedOf(this.#kafka, this.#groupId, [topic]);
    const moves = (await lowsOf(this.#kafka, topic)).flatMap(({ partition, offset: low }) => {
      const from = committed.find((found) => found.partition === partition)?.offset;
      if (from === undefined || !own.includes(partition)) return [];
      const back = from - BigInt(records);
      return [{ partition, from, to: back > low ? back : low }];
    });
    await this.#consumer.commitOffsets(moves.map(({ partition, to }) => ({ topic, partition, offset: String(to) })));
    return Number(moves.reduce((sum, { from, to }) => sum + from - to, 0n));
  }

  /** The group shares out its partitions once more. */
  async leave(): Promise<void> {
    await this.#consumer.disconnect();
  }
}

/** Only partitions that the group has committed. */
async function committedOf(kafka: Kafka, groupId: string, topics: readonly string[]): Promise<Partition[]> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const found = await admin.fetchOffsets({ groupId, topics: [...topics] });
    return found.flatMap(({ topic, partitions }) =>
      partitions
        .map(({ partition, offset }) => ({ topic, partition, offset: BigInt(offset) }))
        .filter(({ offset }) => offset >= 0n),
    );
  } finally {
    await admin.disconnect();
  }
}

async function lowsOf(kafka: Kafka, topic: string): Promise<Partition[]> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    return (await admin.fetchTopicOffsets(topic)).map(({ partition, low }) => ({
      topic,
      partition,
      offset: BigInt(low),
    }));
  } finally {
    await admin.disconnect();
  }
}
