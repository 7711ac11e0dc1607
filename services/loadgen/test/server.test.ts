/** The API's answers to good and bad requests, in this process. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { systemClock } from "@ordermesh/mesh/clock";
import { Runs } from "../src/runs.ts";
import { startServer } from "../src/server.ts";

const RUN = JSON.stringify({ ratePerSecond: 0.1, seed: 1 });

test("a run goes through its states, and starting it again changes nothing", async (t) => {
  const { ask } = await serve(t);
  const started = await ask("PUT", "/runs/a", RUN);
  assert.deepEqual([started.status, started.body.state, started.body.ratePerSecond], [201, "Running", 0.1]);
  const again = await ask("PUT", "/runs/a", JSON.stringify({ ratePerSecond: 9, seed: 9 }));
  assert.deepEqual([again.status, again.body.ratePerSecond, again.body.seed], [200, 0.1, 1]);
  assert.equal((await ask("PATCH", "/runs/a", '{"ratePerSecond":7}')).body.ratePerSecond, 7);
  assert.equal((await ask("POST", "/runs/a/finish", "{}")).status, 202);
  const states = async () => (await ask("GET", "/runs/a")).body.state;
  while ((await states()) !== "Finished") await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    (await ask("GET", "/runs")).body.runs.map(({ name }: { name: string }) => name),
    ["a"],
  );
});

test("health and metrics are served", async (t) => {
  const { url, ask } = await serve(t);
  assert.equal((await ask("GET", "/healthz")).status, 200);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  assert.match(metrics, /^loadgen_orders_in_flight 0$/m);
});

test("too many runs at a time are refused", async (t) => {
  const { ask } = await serve(t);
  const statuses: number[] = [];
  for (const name of ["a", "b", "c", "d", "e", "f", "g", "h", "i"])
    statuses.push((await ask("PUT", `/runs/${name}`, RUN)).status);
  assert.deepEqual(statuses, [...Array(8).fill(201), 429]);
});

for (const [method, path, body, problem] of [
  ["PUT", "/runs/a", "{", /must be JSON/],
  ["PUT", "/runs/a", "[]", /must be a JSON object/],
  ["PUT", "/runs/a", "null", /must be a JSON object/],
  ["PUT", "/runs/a", "{}", /ratePerSecond must be a number/],
  ["PUT", "/runs/a", '{"ratePerSecond":"20","seed":1}', /ratePerSecond must be a number/],
  ["PUT", "/runs/a", '{"ratePerSecond":5001,"seed":1}', /ratePerSecond must be a number/],
  ["PUT", "/runs/a", '{"ratePerSecond":1e999,"seed":1}', /ratePerSecond must be a number/],
  ["PUT", "/runs/a", '{"ratePerSecond":1}', /seed must be a whole number/],
  ["PUT", "/runs/a", '{"ratePerSecond":1,"seed":1.5}', /seed must be a whole number/],
  ["PUT", "/runs/a", '{"ratePerSecond":1,"seed":1,"orders":"Fast"}', /orders must be one of Mixed, Plain, Slow/],
  ["PUT", "/runs/a", '{"ratePerSecond":1,"seed":1,"url":"http://169.254.169.254"}', /must have only/],
  ["PUT", "/runs/a", '{"ratePerSecond":1,"seed":1,"__proto__":{}}', /must have only/],
  ["PUT", `/runs/a`, `"${"x".repeat(5_000)}"`, /at most 4096 characters/],
  ["PUT", "/runs/..%2F..%2Fetc", RUN, /name must be/],
  ["PUT", "/runs/UPPER", RUN, /name must be/],
  ["PUT", `/runs/${"a".repeat(101)}`, RUN, /name must be/],
  ["PATCH", "/runs/known", '{"ratePerSecond":0}', /ratePerSecond must be a number/],
  ["POST", "/runs/known/repeat", '{"requests":1}', /requests must be a whole number/],
  ["GET", "/runs/known/seconds", undefined, /fromMs must be a whole number/],
  ["GET", "/runs/known/seconds?fromMs=5&toMs=4", undefined, /fromMs must not be after toMs/],
  ["GET", "/runs/known/seconds?fromMs=-5&toMs=4", undefined, /fromMs must be a whole number/],
] as const)
  test(`${method} ${path.slice(0, 40)} with ${body?.slice(0, 60)} is refused with 400 and the reason`, async (t) => {
    const { ask } = await serve(t);
    await ask("PUT", "/runs/known", RUN);
    const { status, body: answer } = await ask(method, path, body);
    assert.equal(status, 400);
    assert.match(answer.error, problem);
  });

test("a body that does not say that it is JSON is refused, so no page of another site can start a run", async (t) => {
  const { url } = await serve(t);
  const response = await fetch(`${url}/runs/a`, { method: "PUT", body: RUN });
  assert.equal(response.status, 400);
});

test("what is not there is 404", async (t) => {
  const { ask } = await serve(t);
  await ask("PUT", "/runs/known", RUN);
  for (const [method, path] of [
    ["GET", "/"],
    ["GET", "/runs/unknown"],
    ["GET", "/runs/unknown/history"],
    ["GET", "/runs/known/constructor"],
    ["GET", "/runs/known/seconds/more"],
    ["DELETE", "/runs/known"],
  ] as const)
    assert.equal((await ask(method, path)).status, 404, `${method} ${path}`);
});

async function serve(t: TestContext) {
  const historyDir = mkdtempSync(join(tmpdir(), "runs-"));
  const client = { place: async () => ({ phase: "ok" as const }), read: async () => ({ phase: "ok" as const }) };
  const runs = new Runs({ client, clock: systemClock, historyDir });
  const server = await startServer(runs, { host: "127.0.0.1", port: 0 });
  t.after(async () => {
    await runs.finishAll();
    await server.close();
    rmSync(historyDir, { recursive: true });
  });
  const url = `http://127.0.0.1:${server.port}`;
  const ask = async (method: string, path: string, body?: string) => {
    const sent = body === undefined ? {} : { body, headers: { "content-type": "application/json" } };
    const response = await fetch(url + path, { method, ...sent });
    return { status: response.status, body: await response.json() };
  };
  return { url, ask };
}
