/** Kafka: the only file that imports kafkajs. Waits for a broker that is away; ends the process when a consumer dies. */
import type { Clock } from "@ordermesh/mesh/clock";
import { MeshError } from "@ordermesh/mesh/errors";
import type { Logger } from "@ordermesh/runtime/log";
import kafkajs, { type Consumer, type EachBatchPayload, type Kafka, type Producer } from "kafkajs";
// @ts-expect-error kafkajs publishes no types for its inner modules.
import RequestQueue from "kafkajs/src/network/requestQueue/index.js";
import { type InboundRecord, type OutboundEvent, toHeaders } from "./event.ts";
import { PARTITIONS, TOPICS } from "./topics.ts";

/** Waits between tries are short, so that work goes on soon after a broker is back; tries never end. */
const RETRY = { initialRetryTime: 100, maxRetryTime: 1_000, retries: Number.MAX_SAFE_INTEGER };
/** The least that brokers allow: a killed consumer holds its partitions for this long. */
const SESSION_TIMEOUT_MS = 6_000;
const HEARTBEAT_MS = 1_000;
const MAX_FETCH_WAIT_MS = 100;
const STALL_MS = 60_000;
const CONNECT_RETRY_MS = 500;
const REJECTIONS = new Set(["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_RECORD", "CORRUPT_MESSAGE"]);

/** A record to publish as it is, for instance a dead letter. */
export type RawRecord = {
  readonly topic: string;
  readonly key: Buffer | string | null;
  readonly value: Buffer | null;
  readonly headers: Record<string, Buffer | string>;
};

/** One partition's records, in order. */
export type Batch = {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly InboundRecord[];
  /** Tells Kafka that everything up to the batch's last record is done. */
  commit(): Promise<void>;
};

/** Kafka will never take this record. */
export class RecordRejected extends Error {
  override readonly name = "RecordRejected";
}

export type KafkaOptions = {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly log: Logger;
  readonly clock: Clock;
};

export class KafkaBus {
  readonly #options: KafkaOptions;
  readonly #kafka: Kafka;
  readonly #closing = new AbortController();
  readonly #consumers: Consumer[] = [];
  #producer: Promise<Producer> | undefined;

  constructor(options: KafkaOptions) {
    quietRequestQueue();
    this.#options = options;
    this.#kafka = new kafkajs.Kafka({
      brokers: [...options.brokers],
      clientId: options.clientId,
      connectionTimeout: 2_000,
      retry: RETRY,
      logLevel: kafkajs.logLevel.WARN,
      logCreator: () => (entry) => options.log.debug({ "kafka.namespace": entry.namespace }, entry.log.message),
    });
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
    try {
      await (await this.#connectedProducer()).sendBatch({ topicMessages, acks: -1 });
    } catch (error) {
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
    void this.#consume(group, topics, handle, onFatal).catch(onFatal);
  }

  /** Makes the topics that are missing; waits for Kafka. */
  async ensureTopics(replicationFactor: number): Promise<void> {
    const topics = Object.values(TOPICS).map((topic) => ({ topic, numPartitions: PARTITIONS, replicationFactor }));
    const admin = this.#kafka.admin();
    await this.#untilConnected(() => admin.connect());
    await admin.createTopics({ topics, waitForLeaders: true });
    await admin.disconnect();
  }

  /** Makes the group begin at `offset` of every partition of the topic; the group must have no members. */
  async resetOffsets(groupId: string, topic: string, to: "earliest" | "latest"): Promise<void> {
    const admin = this.#kafka.admin();
    await admin.connect();
    await admin.resetOffsets({ groupId, topic, earliest: to === "earliest" });
    await admin.disconnect();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#consumers.map((consumer) => consumer.disconnect()));
    const producer = await Promise.race([this.#producer, Promise.resolve(undefined)]);
    await producer?.disconnect().catch(() => undefined);
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
      maxWaitTimeInMs: MAX_FETCH_WAIT_MS,
      allowAutoTopicCreation: false,
      retry: RETRY,
    });
    this.#consumers.push(consumer);
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      if (!payload.restart && !this.#closing.signal.aborted) onFatal(payload.error);
    });
    await this.#untilConnected(() => consumer.connect());
    await consumer.subscribe({ topics: [...topics], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: PARTITIONS,
      eachBatch: (payload) => handleWithHeartbeat(consumer, payload, handle),
    });
    void this.#watch(consumer, onFatal);
  }

  /** A consumer that fetches nothing for a minute, not even an empty answer, while Kafka answers others, is dead. */
  async #watch(consumer: Consumer, onFatal: (error: Error) => void): Promise<void> {
    const { clock } = this.#options;
    let lastFetchMs = clock.nowMs();
    consumer.on(consumer.events.FETCH, () => {
      lastFetchMs = clock.nowMs();
    });
    while (!this.#closing.signal.aborted) {
      await clock.sleep(STALL_MS / 4, this.#closing.signal);
      if (clock.nowMs() - lastFetchMs < STALL_MS || this.#closing.signal.aborted) continue;
      if (await this.#isReachable()) onFatal(new Error("the consumer makes no progress"));
      lastFetchMs = clock.nowMs();
    }
  }

  async #isReachable(): Promise<boolean> {
    const admin = this.#kafka.admin({ retry: { retries: 0 } });
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

  #connectedProducer(): Promise<Producer> {
    this.#producer ??= this.#connectProducer();
    return this.#producer;
  }

  async #connectProducer(): Promise<Producer> {
    const producer = this.#kafka.producer({
      idempotent: true,
      allowAutoTopicCreation: false,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      retry: RETRY,
    });
    await this.#untilConnected(() => producer.connect());
    return producer;
  }

  async #untilConnected(connect: () => Promise<void>): Promise<void> {
    const { log, clock } = this.#options;
    for (;;) {
      try {
        return await connect();
      } catch (error) {
        if (this.#closing.signal.aborted) throw error;
        log.warn({ "error.type": error instanceof Error ? error.name : "unknown" }, "still waiting for kafka");
        await clock.sleep(CONNECT_RETRY_MS, this.#closing.signal);
      }
    }
  }
}

async function handleWithHeartbeat(
  consumer: Consumer,
  payload: EachBatchPayload,
  handle: (batch: Batch) => Promise<void>,
): Promise<void> {
  const { batch, heartbeat, resolveOffset, isRunning, isStale } = payload;
  if (!isRunning() || isStale()) return;
  const { topic, partition } = batch;
  const last = batch.messages.at(-1);
  if (last === undefined) return;
  const commit = async () => {
    resolveOffset(last.offset);
    await consumer.commitOffsets([{ topic, partition, offset: String(BigInt(last.offset) + 1n) }]);
  };
  const records = batch.messages.map(({ key, value, headers, offset }) => ({
    topic,
    partition,
    offset,
    key,
    value,
    headers: headers ?? {},
  }));
  const beat = setInterval(() => void heartbeat().catch(() => undefined), HEARTBEAT_MS);
  try {
    await handle({ topic, partition, records, commit });
  } finally {
    clearInterval(beat);
  }
}

type Queue = { pending: readonly unknown[]; throttledUntil: number; scheduleCheckPendingRequests(): void };
let isQuiet = false;

/**
 * kafkajs looks at its queue of requests every 10 ms for ever, with a negative time-out that Node 24 warns about
 * (tulios/kafkajs#1751). There is nothing to look at while the queue is empty and the broker does not throttle.
 */
function quietRequestQueue(): void {
  if (isQuiet) return;
  isQuiet = true;
  const prototype = RequestQueue.prototype as Queue;
  const schedule = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function (this: Queue) {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this);
  };
}
