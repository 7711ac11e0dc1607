/** How long calls wait for their turn when a service takes fewer than are made, over real connections. */
import assert from "node:assert/strict";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CALL_LIMIT } from "../src/call-limit.ts";
import { isKind } from "../src/errors.ts";
import { ASK, newMesh, serve } from "./echo-mesh.ts";

const AT_A_TIME = 32;
const ANSWER_MS = 20;
const ROUNDS = 10;
const NS_PER_MS = 1e6;

/** `callers` call one after the other, each `ROUNDS` times; resolves with what became of the calls and how long they waited. */
async function load(t: TestContext, callers: number, limits: object) {
  const { mesh, client, add, store, registry } = newMesh(t);
  const answer = async () => {
    await sleep(ANSWER_MS);
    return ASK;
  };
  store.put("/mesh/policy/echo", JSON.stringify({ schemaVersion: 1, limits: { inFlight: AT_A_TIME, ...limits } }));
  add("a", (await serve(t, { answer })).address);
  await client.write(ASK);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  let [answered, refused] = [0, 0];
  const call = async () => {
    for (let round = 0; round < ROUNDS; round += 1)
      try {
        await client.write(ASK, { timeoutMs: 10_000 });
        answered += 1;
      } catch (error) {
        if (!isKind(error, "exhausted") || error.reason !== "TOO_MANY_CALLS") throw error;
        refused += 1;
      }
  };
  await Promise.all(Array.from({ length: callers }, call));
  delay.disable();
  const [target] = (mesh.debug() as { targets: { inFlight: number; queued: number }[] }).targets;
  assert.deepEqual([target?.inFlight, target?.queued], [0, 0]);
  return { answered, refused, waits: await waitsOf(registry), lateMs: delay.max / NS_PER_MS };
}

type Waits = { readonly count: number; readonly sumMs: number; readonly p99Ms: number };

/** `p99Ms` is the upper bound of its bucket. */
async function waitsOf(registry: { metrics(): Promise<string> }): Promise<Waits> {
  const text = await registry.metrics();
  const numberOf = (name: string) =>
    Number(new RegExp(`^mesh_client_queue_wait_seconds_${name} (\\S+)$`, "m").exec(text)?.[1]);
  const count = numberOf('count\\{server_address="echo"\\}');
  const buckets = [
    ...text.matchAll(/^mesh_client_queue_wait_seconds_bucket\{le="([^"]+)",server_address="echo"\} (\d+)$/gm),
  ];
  const [, bound] = buckets.find(([, , within]) => Number(within) >= 0.99 * count) ?? [];
  return { count, sumMs: numberOf('sum\\{server_address="echo"\\}') * 1_000, p99Ms: Number(bound) * 1_000 };
}

test("three times as many calls as may be made at a time wait for their turn, and all get it", async (t) => {
  const { answered, refused, waits, lateMs } = await load(t, AT_A_TIME * 3, { maxWaitMs: 10_000 });
  t.diagnostic(
    `p99 of ${waits.count} waits: within ${waits.p99Ms} ms, event loop at most ${lateMs.toFixed(0)} ms late`,
  );
  assert.deepEqual([answered, refused], [AT_A_TIME * 3 * ROUNDS, 0]);
  assert.ok(waits.count > 0.9 * answered, "nearly every call waited");
});

test("with twenty times as many none waits longer than 100 ms, and those that would are refused", async (t) => {
  const { answered, refused, waits, lateMs } = await load(t, AT_A_TIME * 20, {});
  const meanMs = waits.sumMs / waits.count;
  t.diagnostic(
    `${answered} answered, ${refused} refused, waits ${meanMs.toFixed(0)} ms in the mean, p99 within ${waits.p99Ms} ms, event loop at most ${lateMs.toFixed(0)} ms late`,
  );
  assert.equal(answered + refused, AT_A_TIME * 20 * ROUNDS);
  assert.ok(refused > 0 && answered > 0);
  assert.ok(meanMs <= CALL_LIMIT.maxWaitMs + 2 * lateMs, `${meanMs} ms`); // Two turns of the event loop.
});
