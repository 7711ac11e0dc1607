/** An event and its form on Kafka: CloudEvents 1.0, binary content mode. Pure. */
import { traceId } from "@ordermesh/mesh/context";
import { isUuid } from "@ordermesh/runtime/ids";

/** An event on its way out; `key` is the order id, `sequence` its place among the key's events on the topic, from 1. */
export type OutboundEvent = {
  readonly id: string;
  /** For instance `ordermesh.order.confirmed.v1`. */
  readonly type: string;
  /** For instance `ordermesh/order`. */
  readonly source: string;
  readonly topic: string;
  readonly key: string;
  readonly sequence: bigint;
  /** Milliseconds since the Unix epoch. */
  readonly timeMs: number;
  /** W3C trace context; empty when the event came without a valid one. */
  readonly traceparent: string;
  /** The protobuf message. */
  readonly data: Uint8Array;
};

export type InboundEvent = OutboundEvent & { readonly partition: number; readonly offset: string };

/** A record as a consumer gets it, before anything in it is believed. */
export type InboundRecord = {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | string | (Buffer | string)[] | undefined>>;
};

/** An event that no retry can help: it goes to the dead letters at once. `message` is the reason given there. */
export class PoisonEvent extends Error {
  override readonly name = "PoisonEvent";
}

const MAX_HEADERS = 64;
const MAX_HEADER_BYTES = 4_096;

export function toHeaders(event: OutboundEvent): Record<string, string> {
  return {
    ce_specversion: "1.0",
    ce_id: event.id,
    ce_type: event.type,
    ce_source: event.source,
    ce_subject: event.key,
    ce_time: new Date(event.timeMs).toISOString(),
    ce_sequence: String(event.sequence),
    "content-type": "application/protobuf",
    traceparent: event.traceparent,
  };
}

/** @throws PoisonEvent that names what is wrong, without the record's content */
export function toEvent(record: InboundRecord): InboundEvent {
  const headers = readHeaders(record.headers);
  const header = (name: string) => {
    const value = headers.get(name);
    if (value === undefined || value === "") throw new PoisonEvent(`header ${name} is missing`);
    return value;
  };
  if (header("ce_specversion") !== "1.0") throw new PoisonEvent("ce_specversion must be 1.0");
  if (header("content-type") !== "application/protobuf")
    throw new PoisonEvent("content-type must be application/protobuf");
  if (record.value === null || record.value.length === 0) throw new PoisonEvent("the value is empty");
  const [id, key, timeMs] = [header("ce_id"), record.key?.toString() ?? "", Date.parse(header("ce_time"))];
  if (!isUuid(id)) throw new PoisonEvent("ce_id must be a UUID");
  if (!isUuid(key) || header("ce_subject") !== key)
    throw new PoisonEvent("the key must be the order's UUID and equal ce_subject");
  if (!/^[1-9]\d{0,17}$/.test(header("ce_sequence")))
    throw new PoisonEvent("ce_sequence must be a positive whole number");
  if (Number.isNaN(timeMs)) throw new PoisonEvent("ce_time must be a time");
  return {
    id,
    type: header("ce_type"),
    source: header("ce_source"),
    topic: record.topic,
    key,
    sequence: BigInt(header("ce_sequence")),
    timeMs,
    traceparent: validTraceparent(headers.get("traceparent")),
    data: record.value,
    partition: record.partition,
    offset: record.offset,
  };
}

/** Decodes an event's data. @throws PoisonEvent when the bytes are no such message or tell of another order */
export function decodeData<T extends { orderId: string }>(
  event: InboundEvent,
  codec: { decode(bytes: Uint8Array): T },
): T {
  let message: T;
  try {
    message = codec.decode(event.data);
  } catch (error) {
    throw new PoisonEvent(`the value is no ${event.type}`, { cause: error });
  }
  if (message.orderId !== event.key) throw new PoisonEvent("the order in the value is not the key");
  return message;
}

/** Empty unless valid, as services store it. */
function validTraceparent(text = ""): string {
  return traceId(text) === "" ? "" : text;
}

function readHeaders(headers: InboundRecord["headers"]): Map<string, string> {
  const entries = Object.entries(headers);
  if (entries.length > MAX_HEADERS) throw new PoisonEvent("there are too many headers");
  const read = new Map<string, string>();
  for (const [name, value] of entries) {
    const first = Array.isArray(value) ? value[0] : value;
    if (first === undefined) continue;
    if (first.length > MAX_HEADER_BYTES) throw new PoisonEvent("a header is too long");
    read.set(name, first.toString());
  }
  return read;
}
