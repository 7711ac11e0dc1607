/** A batch of kafkajs as the batch of `bus.ts`. */
import type { EachBatchPayload } from "kafkajs";
import type { Batch } from "./bus.ts";

/** Hands the batch on as ours; keeps its partition while it is handled. Offsets are committed only by the batch's `commit`. */
export async function handleWithHeartbeat(
  payload: EachBatchPayload,
  heartbeatMs: number,
  handle: (batch: Batch) => Promise<void>,
): Promise<void> {
  const { batch, heartbeat, resolveOffset, commitOffsetsIfNecessary, isRunning, isStale } = payload;
  if (!isRunning() || isStale()) return;
  const { topic, partition } = batch;
  const last = batch.messages.at(-1);
  if (last === undefined) return;
  const skip = () => resolveOffset(last.offset);
  const commit = async () => {
    skip();
    // Not `consumer.commitOffsets`: its errors hide that the group is rebalancing, and the consumer would end.
    const partitions = [{ partition, offset: String(BigInt(last.offset) + 1n) }];
    await commitOffsetsIfNecessary({ topics: [{ topic, partitions }] });
  };
  const records = batch.messages.map(({ key, value, headers, offset }) => ({
    topic,
    partition,
    offset,
    key,
    value,
    headers: headers ?? {},
  }));
  const beat = setInterval(() => void heartbeat().catch(() => undefined), heartbeatMs);
  try {
    await handle({ topic, partition, records, skip, commit });
  } finally {
    clearInterval(beat);
  }
}
