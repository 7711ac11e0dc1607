/** A part of a list, for runs that share the work. Pure. */

/**
 * The I-th of N parts that together are the whole list: every N-th, as neighbours in the catalogue are much alike and last about as long.
 * @throws Error for what is not I/N with I from 1 to N
 */
export function shardOf<T>(items: readonly T[], shard: string): readonly T[] {
  const [index = 0, count = 0] = /^(\d+)\/(\d+)$/.exec(shard)?.slice(1).map(Number) ?? [];
  if (index < 1 || index > count) throw new Error(`--shard is ${shard}; it must be I/N with I from 1 to N, as in 1/3`);
  return items.filter((_, position) => position % count === index - 1);
}
