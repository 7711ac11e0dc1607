/** Sends dead letters back to where they came from. The inbox drops those that were handled after all. */
import type { InboundRecord } from "./event.ts";
import type { RawRecord } from "./kafka.ts";

/** The record as it was before it became a dead letter; undefined when its coordinates are missing. */
export function revive({ key, value, headers }: InboundRecord): RawRecord | undefined {
  const topic = headers.dlq_topic?.toString();
  if (topic === undefined || topic === "") return undefined;
  const kept = Object.entries(headers).flatMap(([name, content]) => {
    const first = Array.isArray(content) ? content[0] : content;
    return name.startsWith("dlq_") || first === undefined ? [] : [[name, first] as const];
  });
  return { topic, key, value, headers: Object.fromEntries(kept) };
}
