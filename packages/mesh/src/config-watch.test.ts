import assert from "node:assert/strict";
import { test } from "node:test";
import { newMetrics, silent } from "../test/fixtures.ts";
import { watchConfig } from "./config-watch.ts";
import { MeshError } from "./errors.ts";
import { ManualClock } from "./manual-clock.ts";
import { MemoryStore } from "./memory-store.ts";

const KEY = "/mesh/config/echo";

function parse(document: string): number {
  const value = Number(document);
  if (Number.isNaN(value)) throw new MeshError("invalid", "CONFIG_INVALID", "must be a number");
  return value;
}

async function newConfig() {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  const metrics = newMetrics();
  const config = watchConfig({ store, key: KEY, parse, fallback: 7, log: silent, metrics });
  const heard: number[] = [];
  config.onChange((value) => heard.push(value));
  await clock.advance(0);
  const rejected = async () => (await metrics.configRejected.get()).values[0]?.value;
  return { store, config, heard, rejected };
}

test("the fallback holds until a document arrives, and revisions tell them apart", async () => {
  const { store, config, heard } = await newConfig();
  assert.deepEqual([config.current, config.revision], [7, 0n]);
  store.put(KEY, "8");
  const first = config.revision;
  store.put(KEY, "9");
  assert.deepEqual([config.current, heard], [9, [8, 9]]);
  assert.ok(first > 0n && config.revision > first);
});

test("an invalid document is refused and counted once, and the last good one stays", async () => {
  const { store, config, heard, rejected } = await newConfig();
  store.put(KEY, "8");
  const good = config.revision;
  store.put(KEY, "many");
  store.put("/mesh/config/other", "1");
  assert.deepEqual([config.current, config.revision, heard, await rejected()], [8, good, [8], 1]);
  store.put(KEY, "9");
  assert.equal(config.current, 9);
});

test("deletion, another service's key, and an unchanged document change nothing", async () => {
  const { store, config, heard } = await newConfig();
  store.put(KEY, "8");
  store.delete(KEY);
  store.put(`${KEY}-2`, "99");
  store.put(KEY, "8");
  assert.deepEqual([config.current, heard], [8, [8]]);
});

test("a closed watch hears nothing more", async () => {
  const { store, config, heard } = await newConfig();
  config.close();
  store.put(KEY, "8");
  assert.deepEqual([config.current, heard], [7, []]);
});
