import assert from "node:assert/strict";
import { test } from "node:test";
import { shardOf } from "./shard.ts";

const ITEMS = ["a", "b", "c", "d", "e"];

test("the shards together are the whole, each item in one of them", () => {
  const shards = ["1/3", "2/3", "3/3"].map((shard) => shardOf(ITEMS, shard));
  assert.deepEqual(shards, [["a", "d"], ["b", "e"], ["c"]]);
  assert.deepEqual(shardOf(ITEMS, "1/1"), ITEMS);
});

for (const shard of ["0/2", "3/2", "1/0", "1", "a/b", "-1/2", "1/2/3", ""])
  test(`${JSON.stringify(shard)} is no shard`, () => {
    assert.throws(() => shardOf(ITEMS, shard), /must be I\/N with I from 1 to N/);
  });
