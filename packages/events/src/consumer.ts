/** Consumes topics: batches through the inbox, retries with back-off, dead letters for what can never be handled. */
import { type Clock, jitter, type Random } from "@ordermesh/mesh/clock";
import { childTraceparent, runInContext } from "@ordermesh/mesh/context";
import { isKind } from "@ordermesh/mesh/errors";
import { failpoint } from "@ordermesh/runtime/failpoints";
import type { Logger } from "@ordermesh/runtime/log";
import type { Database } from "@ordermesh/runtime/postgres";
import { type Batch, type RawRecord, RecordRejected } from "./bus.ts";
import { toDeadLetter, withoutContent } from "./dead-letters.ts";
import { type InboundEvent, type InboundRecord, PoisonEvent, toEvent } from "./event.ts";
import { type Handle, type InboxPolicy, inboxInTransaction, pruneInbox } from "./inbox.ts";
import type { EventMetrics } from "./metrics.ts";

const MAX_TRIES = 5;
const MIN_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 2_000;
const PRUNE_EVERY_MS = 3_600_000;

/** When offsets are committed: after the work, or (the bug that tests plant) before it. */
export type CommitPolicy = "after-work" | "before-work";

/** What a consumer needs of Kafka. */
export type ConsumerBus = {
  consume(
    group: string,
    topics: readonly string[],
    handle: (batch: Batch) => Promise<void>,
    onFatal: (error: Error) => void,
  ): void;
  publishRaw(records: readonly RawRecord[]): Promise<void>;
};

export type ConsumerOptions = {
  /** Consumer group, and the consumer's name in the inbox. */
  readonly group: string;
  readonly topics: readonly string[];
  readonly handle: Handle;
  readonly db: Database;
  readonly bus: ConsumerBus;
  readonly log: Logger;
  readonly metrics: EventMetrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** Called when the consumer has died; the process should end. */
  readonly onFatal: (error: Error) => void;
  readonly inbox?: InboxPolicy;
  readonly commit?: CommitPolicy;
};

/** Consumes in the background until the bus is closed. */
export function startConsumer(options: ConsumerOptions): void {
  const { bus, group, topics, onFatal, commit = "after-work" } = options;
  const consumer = new BatchHandler(options);
  const handle = async (batch: Batch) => {
    if (commit === "before-work") await batch.commit();
    await failpoint("consumer.polled");
    await consumer.handle(batch.records);
    await failpoint("consumer.committed");
    if (commit === "after-work") await batch.commit();
  };
  bus.consume(group, topics, handle, onFatal);
  void consumer.pruneUntilStopped();
}

type Item = { readonly event: InboundEvent; readonly record: InboundRecord };

export class BatchHandler {
  readonly #options: ConsumerOptions;
  readonly #inbox: InboxPolicy;

  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.#inbox = options.inbox ?? inboxInTransaction;
  }

  /** Resolves when every record is handled, dropped as a duplicate, or in the dead letters. */
  async handle(records: readonly InboundRecord[]): Promise<void> {
    const events: Item[] = [];
    for (const record of records) {
      try {
        events.push({ event: toEvent(record), record });
      } catch (error) {
        await this.#deadLetter(record, error);
      }
    }
    const [first] = events;
    if (first === undefined) return;
    const stopTimer = this.#options.metrics.processing.startTimer({ messaging_destination_name: first.event.topic });
    await this.#handleInParts(events);
    stopTimer();
  }

  async pruneUntilStopped(): Promise<void> {
    const { db, clock, signal } = this.#options;
    while (!signal.aborted) {
      await pruneInbox(db).catch(() => undefined); // Tried again in an hour.
      await clock.sleep(PRUNE_EVERY_MS, signal);
    }
  }

  /** One of them may be the reason why a batch fails: halves find it, and then it is retried and judged alone. */
  async #handleInParts(items: readonly Item[]): Promise<void> {
    const [first, second] = items;
    if (first === undefined) return;
    if (second === undefined) return await this.#handleAlone(first);
    try {
      await this.#persist(items.map(({ event }) => event));
    } catch (error) {
      this.#throwIfStopping(error);
      const middle = Math.ceil(items.length / 2);
      await this.#handleInParts(items.slice(0, middle));
      await this.#handleInParts(items.slice(middle));
    }
  }

  async #handleAlone({ event, record }: Item): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#persist([event]);
      } catch (error) {
        this.#throwIfStopping(error);
        if (error instanceof PoisonEvent || tries === MAX_TRIES) return await this.#deadLetter(record, error);
        await this.#backOff(tries);
      }
    }
  }

  /** There is no time left to find out whether an event can be handled; Kafka delivers it to the next process. */
  #throwIfStopping(error: unknown): void {
    if (this.#options.signal.aborted) throw error;
  }

  /** Retries without end while the database is away or another transaction is in the way. */
  async #persist(events: readonly InboundEvent[]): Promise<void> {
    const { db, group, handle, metrics, clock, random, signal } = this.#options;
    const [first] = events;
    if (first === undefined) return;
    const context = {
      deadlineMs: Number.POSITIVE_INFINITY,
      traceparent: childTraceparent(first.traceparent, random),
      signal: new AbortController().signal,
      caller: first.source,
    };
    for (let tries = 1; ; tries += 1) {
      try {
        const fresh = await runInContext(context, () => this.#inbox(db, group, events, handle));
        metrics.duplicates.inc({ messaging_destination_name: first.topic }, events.length - fresh);
        metrics.consumed.inc({ messaging_system: "kafka", messaging_destination_name: first.topic }, events.length);
        for (const { topic, timeMs } of events)
          metrics.delay.observe({ messaging_destination_name: topic }, Math.max(0, clock.wallMs() - timeMs) / 1_000);
        return;
      } catch (error) {
        if (!isKind(error, "unavailable", "conflict") || signal.aborted) throw error;
        await this.#backOff(tries);
      }
    }
  }

  async #deadLetter(record: InboundRecord, error: unknown): Promise<void> {
    const { bus, group, log, metrics } = this.#options;
    const reason = error instanceof PoisonEvent ? error.message : "the handler failed";
    const { topic, partition, offset } = record;
    const letter = toDeadLetter(record, group, reason);
    await bus.publishRaw([letter]).catch((refusal) => {
      if (!(refusal instanceof RecordRejected)) throw refusal;
      return bus.publishRaw([withoutContent(letter)]);
    });
    metrics.deadLetters.inc({ messaging_destination_name: topic });
    metrics.consumed.inc({ messaging_system: "kafka", messaging_destination_name: topic });
    const facts = {
      "messaging.destination.name": topic,
      "messaging.kafka.partition": partition,
      "messaging.kafka.offset": offset,
    };
    const cause = error instanceof PoisonEvent ? {} : { err: error };
    log.error({ ...facts, ...cause, reason }, "record sent to the dead letters");
  }

  async #backOff(tries: number): Promise<void> {
    const { clock, random, signal } = this.#options;
    await clock.sleep(jitter(Math.min(MIN_BACKOFF_MS * 2 ** tries, MAX_BACKOFF_MS), 0.3, random), signal);
  }
}
