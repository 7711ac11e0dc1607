/** The proxy between a real client and a real server. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TcpProxy } from "../src/tcp-proxy.ts";

const PAUSE_MS = 150;

async function start(t: TestContext) {
  const accepted: Socket[] = [];
  const server = createServer((socket) => {
    accepted.push(socket);
    socket.on("error", () => undefined).pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy = await TcpProxy.listen(() => 0.5);
  proxy.target = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const clients: Socket[] = [];
  t.after(async () => {
    for (const client of clients) client.destroy();
    await proxy.close();
    server.close();
  });
  const attempt = () => {
    const client = connect(Number(proxy.address.split(":")[1]), "127.0.0.1");
    clients.push(client.on("error", () => undefined));
    return client;
  };
  const dial = async () => {
    const client = attempt();
    await once(client, "connect");
    return client;
  };
  return { proxy, accepted, attempt, dial };
}

async function echo(client: Socket, text: string): Promise<string> {
  client.write(text);
  let answer = "";
  while (answer.length < text.length) answer += String((await once(client, "data"))[0]);
  return answer;
}

/** Also of a connection that was reset, or has been closed already. */
async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise<void>((resolve) => socket.once("close", () => resolve()));
}

async function untilIdle(proxy: TcpProxy): Promise<void> {
  while (proxy.open > 0) await sleep(5);
}

test("bytes pass in both directions, however many, and half-closing is passed on", async (t) => {
  const { proxy, dial } = await start(t);
  const client = await dial();
  const text = "x".repeat(3_000_000);
  assert.equal(await echo(client, text), text);
  client.end();
  await closed(client);
  assert.deepEqual(proxy.counts, { bytes: 0, broken: 0, refused: 0 });
  await untilIdle(proxy);
});

test("in a black hole nothing passes and nobody learns why; afterwards what was sent arrives", async (t) => {
  const { proxy, dial } = await start(t);
  const client = await dial();
  assert.equal(await echo(client, "before"), "before");
  proxy.setShape({ kind: "Blackhole" });
  const late = echo(client, "during");
  const unanswered = await dial();
  let isAnswered = false;
  void late.then(() => {
    isAnswered = true;
  });
  await sleep(PAUSE_MS);
  assert.equal(isAnswered, false);
  assert.ok(!client.destroyed && !unanswered.destroyed);
  assert.deepEqual(proxy.counts, { bytes: 6, broken: 0, refused: 1 });
  proxy.setShape({ kind: "Pass" });
  assert.equal(await late, "during");
  await closed(unanswered);
  assert.equal(await echo(await dial(), "after"), "after");
});

test("who hangs up in a black hole is missed only after it", async (t) => {
  const { proxy, accepted, dial } = await start(t);
  const client = await dial();
  assert.equal(await echo(client, "before"), "before");
  proxy.setShape({ kind: "Blackhole" });
  client.destroy();
  await sleep(PAUSE_MS);
  assert.equal(accepted[0]?.destroyed, false);
  proxy.setShape({ kind: "Pass" });
  assert.ok(accepted[0]);
  await closed(accepted[0]);
  await untilIdle(proxy);
});

test("a reset breaks what is open and refuses what comes", async (t) => {
  const { proxy, attempt, dial } = await start(t);
  const client = await dial();
  assert.equal(await echo(client, "before"), "before");
  proxy.setShape({ kind: "Reset" });
  await closed(client);
  await closed(attempt());
  assert.deepEqual(proxy.counts, { bytes: 0, broken: 1, refused: 1 });
  proxy.setShape({ kind: "Pass" });
  assert.equal(await echo(await dial(), "after"), "after");
});

test("latency is added in each direction, and bytes keep their order", async (t) => {
  const { proxy, dial } = await start(t);
  const client = await dial();
  proxy.setShape({ kind: "Latency", delayMs: 100, jitterMs: 0 });
  const startedMs = performance.now();
  client.write("one ");
  const late = echo(client, "two three");
  assert.equal((await late).slice(0, 9), "one two t");
  assert.ok(performance.now() - startedMs >= 195, `it took ${performance.now() - startedMs} ms`);
  assert.ok(proxy.counts.bytes >= 12);
});

test("a throttled connection gets its bytes at the rate", async (t) => {
  const { proxy, dial } = await start(t);
  const client = await dial();
  proxy.setShape({ kind: "Throttle", bytesPerSecond: 100_000 });
  const startedMs = performance.now();
  const text = "x".repeat(40_000);
  assert.equal(await echo(client, text), text);
  const ms = performance.now() - startedMs;
  assert.ok(ms >= 390 && ms < 2_000, `it took ${ms} ms`);
});

test("without a target, connections are hung up on", async (t) => {
  const proxy = await TcpProxy.listen(Math.random);
  t.after(() => proxy.close());
  const client = connect(Number(proxy.address.split(":")[1]), "127.0.0.1");
  await closed(client);
  assert.equal(proxy.open, 0);
});
