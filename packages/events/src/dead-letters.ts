/** A record on its way to the dead letters and back. Pure. */

import type { RawRecord } from "./bus.ts";
import type { InboundRecord } from "./event.ts";
import { TOPICS } from "./topics.ts";

/** The record as it is, with headers that say who gave it up and why, and where it was. */
export function toDeadLetter(record: InboundRecord, group: string, reason: string): RawRecord {
  const { topic, partition, offset, key, value } = record;
  const place = { dlq_topic: topic, dlq_partition: String(partition), dlq_offset: offset };
  const headers = { ...firstOfEach(record.headers), ...place, dlq_group: group, dlq_reason: reason };
  return { topic: TOPICS.deadLetters, key, value, headers };
}

/** For a dead letter that is too large with its headers: only what it is about. The record itself is where it was. */
export function withoutContent({ topic, key, headers }: RawRecord): RawRecord {
  const kept = Object.entries(headers).filter(([name]) => name.startsWith("dlq_"));
  return { topic, key, value: null, headers: { ...Object.fromEntries(kept), dlq_content: "left out" } };
}

/** The record as it was before it became a dead letter; undefined when the dead letter does not hold it. */
export function revive({ key, value, headers }: InboundRecord): RawRecord | undefined {
  const topic = headers.dlq_topic?.toString() ?? "";
  if (topic === "" || headers.dlq_content !== undefined) return undefined;
  const kept = Object.entries(firstOfEach(headers)).filter(([name]) => !name.startsWith("dlq_"));
  return { topic, key, value, headers: Object.fromEntries(kept) };
}

/** What is still to be handled of the records that a topic had at one moment. */
export class Remaining {
  readonly #ends: Map<number, bigint>;

  /** Of each partition the offset after the last record. */
  constructor(ends: ReadonlyMap<number, bigint>) {
    this.#ends = new Map(ends);
  }

  get isEmpty(): boolean {
    return this.#ends.size === 0;
  }

  /** Everything up to the offset; records that came later count for nothing. */
  handled(partition: number, offset: string): void {
    if (BigInt(offset) + 1n >= (this.#ends.get(partition) ?? 0n)) this.#ends.delete(partition);
  }
}

function firstOfEach(headers: InboundRecord["headers"]): Record<string, Buffer | string> {
  const entries = Object.entries(headers).flatMap(([name, value]) => {
    const first = Array.isArray(value) ? value[0] : value;
    return first === undefined ? [] : [[name, first] as const];
  });
  return Object.fromEntries(entries);
}
