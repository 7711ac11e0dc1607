/** Kafka: the only way to kafkajs. Waits for a broker that is away; ends the process when a consumer dies. */
import { abortWith } from "@ordermesh/mesh/abort-with";
import type { Clock } from "@ordermesh/mesh/clock";
import { MeshError } from "@ordermesh/mesh/errors";
import type { Logger } from "@ordermesh/runtime/log";
import kafkajs, { type Admin, type Consumer, type Kafka, type Producer, type RetryOptions } from "kafkajs";
import { type Batch, type RawRecord, RecordRejected } from "./bus.ts";
import { type OutboundEvent, toHeaders } from "./event.ts";
import { handleWithHeartbeat } from "./kafka-batch.ts";
import { quietRequestQueue } from "./kafka-request-queue.ts";
import type { EventMetrics } from "./metrics.ts";
import { Pulse } from "./pulse.ts";
import type { KafkaAccess } from "./settings.ts";
import { PARTITIONS, TOPICS } from "./topics.ts";

/** Waits between tries are short, so that work goes on soon after a broker is back; tries never end. */
const RETRY = { initialRetryTime: 100, maxRetryTime: 1_000, retries: Number.MAX_SAFE_INTEGER };
/** The least that brokers allow: the partitions of a killed consumer stand still for this long. */
export const SESSION_TIMEOUT_MS = 6_000;
export const HEARTBEAT_MS = 1_000;
/** Brokers answer as soon as there is an event, or after this long: then a consumer can leave its group, or the group can change. */
const MAX_WAIT_MS = 500;
/** From one fetch to the next: what comes meanwhile is one batch, which takes less of everybody's CPU, and an event a bit longer. */
const FETCH_EVERY_MS = 100;
/** What an answer brings at most, a larger first batch of records apart: a backlog comes in pieces, as V8 keeps the room that one took. */
const FETCH_BYTES = { maxBytesPerPartition: 65_536, maxBytes: 262_144 };
const STALL_MS = 60_000;
const CONNECT_RETRY_MS = 500;
const REPORT_EVERY_TRIES = 20;
/** How long `close` waits for a broker that does not answer. */
const CLOSE_MS = 3_000;
const REJECTIONS = new Set(["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_RECORD"]);

export type KafkaOptions = KafkaAccess & {
  readonly clientId: string;
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics?: Pick<EventMetrics, "connectionErrors">;
};

export class KafkaBus {
  readonly #options: KafkaOptions;
  readonly #kafka: Kafka;
  readonly #closing = new AbortController();
  readonly #consumers = new Set<Consumer>();
  #producer: Promise<Producer> | undefined;

  constructor(options: KafkaOptions) {
    quietRequestQueue();
    this.#options = options;
    this.#kafka = newKafka(options, RETRY);
  }

  /** Resolves when all in-sync replicas have the events. @throws RecordRejected, MeshError unavailable BROKER_UNAVAILABLE */
  async publish(events: readonly OutboundEvent[]): Promise<void> {
    await this.publishRaw(
      events.map((event) => ({
        topic: event.topic,
        key: event.key,
        value: Buffer.from(event.data),
        headers: toHeaders(event),
      })),
    );
  }

  async publishRaw(records: readonly RawRecord[]): Promise<void> {
    const byTopic = Map.groupBy(records, ({ topic }) => topic);
    const topicMessages = [...byTopic].map(([topic, messages]) => ({
      topic,
      messages: messages.map(({ key, value, headers }) => ({ key, value, headers })),
    }));
    this.#producer ??= this.#connectProducer();
    const producer = this.#producer;
    try {
      await (await producer).sendBatch({ topicMessages, acks: -1 });
    } catch (error) {
      this.#discard(producer);
      if (error instanceof kafkajs.KafkaJSProtocolError && REJECTIONS.has(error.type))
        throw new RecordRejected(error.type, { cause: error });
      throw new MeshError("unavailable", "BROKER_UNAVAILABLE", "Kafka did not take the events", { cause: error });
    }
  }

  /** Consumes until the bus is closed; `onFatal` is called when the consumer has ended by itself. Returns at once. */
  consume(
    group: string,
    topics: readonly string[],
    handle: (batch: Batch) => Promise<void>,
    onFatal: (error: Error) => void,
  ): void {
    void this.#consume(group, topics, handle, onFatal).catch((error) => {
      if (!this.#closing.signal.aborted) onFatal(error);
    });
  }

  /** Makes the topics that are missing; waits for Kafka, and until every partition can be written. */
  async ensureTopics(replicationFactor: number, names: readonly string[] = Object.values(TOPICS)): Promise<void> {
    const topics = names.map((topic) => ({ topic, numPartitions: PARTITIONS, replicationFactor }));
    await this.#administer(async (admin) => {
      await admin.createTopics({ topics, waitForLeaders: true });
      // A leader that is known may not know it yet; until it does, it refuses records.
      for (const topic of names) await this.#untilDone(async () => void (await admin.fetchTopicOffsets(topic)));
    });
  }

  /** Makes the group begin at the earliest or latest offsets of the topic; the group must have no members. */
  async resetOffsets(groupId: string, topic: string, to: "earliest" | "latest"): Promise<void> {
    await this.#administer((admin) => admin.resetOffsets({ groupId, topic, earliest: to === "earliest" }));
  }

  /** Partitions in which the group has not committed everything, each with the offset after its last record. */
  async unread(groupId: string, topic: string): Promise<Map<number, bigint>> {
    const unread = new Map<number, bigint>();
    await this.#administer(async (admin) => {
      const ends = await admin.fetchTopicOffsets(topic);
      const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] });
      for (const { partition, high, low } of ends) {
        const offset = committed?.partitions.find((found) => found.partition === partition)?.offset ?? -1;
        if (BigInt(high) > BigInt(low) && BigInt(high) > BigInt(offset)) unread.set(partition, BigInt(high));
      }
    });
    return unread;
  }

  /** False when no broker answers at once. */
  async isReachable(): Promise<boolean> {
    const admin = newKafka(this.#options, { retries: 0 }).admin();
    try {
      await admin.connect();
      await admin.listTopics();
      return true;
    } catch {
      return false;
    } finally {
      await admin.disconnect().catch(() => undefined);
    }
  }

  /** Lets consumers finish their batches and leave their groups, if Kafka answers. */
  async close(): Promise<void> {
    this.#closing.abort();
    const producer = this.#producer?.then((connected) => connected.disconnect());
    const disconnects = [...Array.from(this.#consumers, (consumer) => consumer.disconnect()), producer];
    const enough = new AbortController();
    await Promise.race([Promise.allSettled(disconnects), this.#options.clock.sleep(CLOSE_MS, enough.signal)]);
    enough.abort();
  }

  async #consume(
    group: string,
    topics: readonly string[],
    handle: (batch: Batch) => Promise<void>,
    onFatal: (error: Error) => void,
  ): Promise<void> {
    const consumer = this.#kafka.consumer({
      groupId: group,
      sessionTimeout: SESSION_TIMEOUT_MS,
      rebalanceTimeout: SESSION_TIMEOUT_MS,
      heartbeatInterval: HEARTBEAT_MS,
      maxWaitTimeInMs: MAX_WAIT_MS,
      ...FETCH_BYTES,
      allowAutoTopicCreation: false,
      retry: RETRY,
    });
    this.#consumers.add(consumer);
    const over = abortWith(this.#closing.signal);
    consumer.on(consumer.events.CRASH, ({ payload: { restart, error } }) => {
      if (restart || this.#closing.signal.aborted) return;
      over.abort();
      this.#consumers.delete(consumer);
      if (!isCoordinatorAway(error)) return onFatal(error);
      void consumer.disconnect().catch(() => undefined);
      this.consume(group, topics, handle, onFatal);
    });
    await this.#untilDone(() => consumer.connect());
    await this.#untilDone(() => consumer.subscribe({ topics: [...topics], fromBeginning: true })); // Topics may come late.
    if (this.#closing.signal.aborted) return await consumer.disconnect();
    const { clock } = this.#options;
    const pulse = new Pulse(clock);
    let fetchedMs = 0;
    consumer.on(consumer.events.FETCH, () => {
      pulse.beat();
      fetchedMs = clock.nowMs();
    });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: PARTITIONS,
      eachBatch: async (payload) => {
        await pulse.during(() => handleWithHeartbeat(payload, HEARTBEAT_MS, handle));
        if (payload.batch.offsetLag() !== "0") return; // More waits already.
        await clock.sleep(Math.max(0, fetchedMs + FETCH_EVERY_MS - clock.nowMs()), over.signal);
      },
    });
    await this.#watch(pulse, over.signal, onFatal);
  }

  /** A consumer that neither handles nor fetches for a minute, not even an empty answer, while Kafka answers others, is dead. */
  async #watch(pulse: Pulse, isOver: AbortSignal, onFatal: (error: Error) => void): Promise<void> {
    const { clock } = this.#options;
    while (!isOver.aborted) {
      await clock.sleep(STALL_MS / 4, isOver);
      if (pulse.silentMs() < STALL_MS || isOver.aborted) continue;
      if (await this.isReachable()) return onFatal(new Error("the consumer makes no progress"));
      pulse.beat();
    }
  }

  /**
   * kafkajs counts a failed request's records as not sent, although a partition of it may have them: the producer's next
   * request to that partition would be refused as out of order, for ever. A new producer counts from 0.
   */
  #discard(producer: Promise<Producer>): void {
    if (this.#producer === producer) this.#producer = undefined;
    void producer.then((old) => old.disconnect()).catch(() => undefined);
  }

  async #connectProducer(): Promise<Producer> {
    const producer = this.#kafka.producer({
      idempotent: true,
      allowAutoTopicCreation: false,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      retry: RETRY,
    });
    await this.#untilDone(() => producer.connect());
    return producer;
  }

  async #administer(work: (admin: Admin) => Promise<void>): Promise<void> {
    const admin = this.#kafka.admin();
    await this.#untilDone(() => admin.connect());
    try {
      await work(admin);
    } finally {
      await admin.disconnect().catch(() => undefined);
    }
  }

  async #untilDone(step: () => Promise<void>): Promise<void> {
    const { log, clock } = this.#options;
    for (let tries = 0; ; tries += 1) {
      try {
        return await step();
      } catch (error) {
        if (this.#closing.signal.aborted) throw error;
        const type = error instanceof Error ? error.name : "unknown";
        if (tries % REPORT_EVERY_TRIES === 0) log.warn({ "error.type": type }, "waiting for kafka");
        await clock.sleep(CONNECT_RETRY_MS, this.#closing.signal);
      }
    }
  }
}

/** While a broker starts nobody coordinates groups; kafkajs gives up on that after five tries and takes it for final. */
function isCoordinatorAway(error: Error): boolean {
  return (
    error.name === "KafkaJSGroupCoordinatorNotFound" || (error.cause instanceof Error && isCoordinatorAway(error.cause))
  );
}

export function newKafka(options: KafkaOptions, retry: RetryOptions): Kafka {
  const { brokers, ca, credentials, clientId, log, metrics } = options;
  return new kafkajs.Kafka({
    brokers: [...brokers],
    clientId,
    ...(ca === undefined ? {} : { ssl: { ca } }),
    ...(credentials === undefined ? {} : { sasl: { mechanism: "scram-sha-512", ...credentials } }),
    connectionTimeout: 2_000,
    retry,
    logLevel: kafkajs.logLevel.WARN,
    logCreator: () => (entry) => {
      // A client that tries for ever tells of it nowhere else.
      if (entry.namespace === "Connection" && entry.level === kafkajs.logLevel.ERROR) metrics?.connectionErrors.inc();
      log.debug({ "kafka.namespace": entry.namespace }, entry.log.message);
    },
  });
}
