/** What passes between Kafka and those who use it. Knows no Kafka client. */
import type { InboundRecord } from "./event.ts";

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
  /** Goes on after the batch's last record, without telling Kafka. */
  skip(): void;
  /** Tells Kafka that everything up to the batch's last record is done, and goes on after it. */
  commit(): Promise<void>;
};

/** Kafka will never take this record. */
export class RecordRejected extends Error {
  override readonly name = "RecordRejected";
}
