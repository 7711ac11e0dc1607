/** Unary calls over real connections to real servers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runInContext } from "../src/context.ts";
import { MeshError } from "../src/errors.ts";
import type { UnaryCall } from "./echo.ts";
import { ASK, never, newMesh, serve, spawnEcho } from "./echo-mesh.ts";
import { eventually } from "./fixtures.ts";
import { TcpProxy } from "./tcp-proxy.ts";

test("a call reaches a server with its trace, its caller and its deadline, and the answer comes back", async (t) => {
  let seen: UnaryCall | undefined;
  const { client, add } = newMesh(t);
  const answer = async (call: UnaryCall) => {
    seen = call;
    return { text: call.request.text.toUpperCase() };
  };
  add("a", (await serve(t, { answer })).address);
  assert.deepEqual(await client.write(ASK, { timeoutMs: 700 }), { text: "HELLO" });
  assert.ok(seen);
  assert.match(String(seen.metadata.get("traceparent")[0]), /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  assert.equal(seen.metadata.get("x-mesh-caller")[0], "shop");
  const leftMs = Number(seen.getDeadline()) - Date.now();
  assert.ok(leftMs <= 700, `${leftMs} ms`);
});

test("errors come back with kind, reason, message and violations, and bugs without a text", async (t) => {
  const violations = Array.from({ length: 40 }, (_, index) => ({
    field: `lines[${index}].sku`,
    description: "unknown",
  }));
  const rows: [Error, Partial<MeshError>][] = [
    [
      new MeshError("invalid", "ORDER_INVALID", "größer als erlaubt: 100 %", { violations }),
      { kind: "invalid", reason: "ORDER_INVALID", message: "größer als erlaubt: 100 %", violations },
    ],
    [new MeshError("forbidden", "NOT_YOURS", "not yours"), { kind: "forbidden", reason: "NOT_YOURS" }],
    [new TypeError("card 4111"), { kind: "internal", message: "INTERNAL: unexpected error", violations: [] }],
  ];
  for (const [thrown, expected] of rows) {
    const { client, add } = newMesh(t);
    add("a", (await serve(t, { answer: () => Promise.reject(thrown) })).address);
    await assert.rejects(client.write(ASK), { name: "MeshError", ...expected });
  }
});

test("a server that does not answer costs the deadline, and learns that the call is over", async (t) => {
  const { client, add } = newMesh(t);
  const over = Promise.withResolvers<void>();
  const answer = (call: UnaryCall) => {
    call.on("cancelled", over.resolve);
    return never();
  };
  add("a", (await serve(t, { answer })).address);
  await assert.rejects(client.read(ASK, { timeoutMs: 60 }), {
    kind: "deadline",
    reason: "TRANSPORT_DEADLINE_EXCEEDED",
  });
  await over.promise;
});

test("a cancelled call ends at once on both sides, whoever's signal it was", async (t) => {
  const { client, add } = newMesh(t);
  let arrived = () => {};
  let over = () => {};
  const answer = (call: UnaryCall) => {
    arrived();
    call.on("cancelled", () => over());
    return never();
  };
  add("a", (await serve(t, { answer })).address);
  const ways = [
    (signal: AbortSignal) => client.read(ASK, { signal, timeoutMs: 20_000 }),
    (signal: AbortSignal) =>
      runInContext({ deadlineMs: Number.POSITIVE_INFINITY, traceparent: "", signal, caller: "" }, () =>
        client.read(ASK, { timeoutMs: 20_000 }),
      ),
    (signal: AbortSignal) =>
      runInContext({ deadlineMs: Number.POSITIVE_INFINITY, traceparent: "", signal, caller: "" }, () =>
        client.read(ASK, { timeoutMs: 20_000, signal: new AbortController().signal }),
      ),
  ];
  for (const call of ways) {
    const hasArrived = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const isOver = new Promise<void>((resolve) => {
      over = resolve;
    });
    const abort = new AbortController();
    const result = assert.rejects(call(abort.signal), { kind: "cancelled" });
    await hasArrived;
    abort.abort();
    await Promise.all([result, isOver]);
  }
});

test("when a server dies with calls open, repeatable ones are answered elsewhere and the others are unavailable", async (t) => {
  const { client, add } = newMesh(t);
  let open = 0;
  const dying = await serve(t, {
    answer: () => {
      open += 1;
      return never();
    },
  });
  add("dying", dying.address);
  const reads = Promise.all([client.read(ASK, { timeoutMs: 20_000 }), client.read(ASK, { timeoutMs: 20_000 })]);
  const write = assert.rejects(client.write(ASK, { timeoutMs: 20_000 }), { kind: "unavailable" });
  await eventually("all calls arrive", () => open === 3);
  add("healthy", (await serve(t)).address);
  dying.server.forceShutdown();
  assert.deepEqual(await reads, [ASK, ASK]);
  await write;
});

/** Eight callers in a row without a pause; `turn` resolves once each of them has begun and ended a call since. */
function underLoad(call: () => Promise<unknown>) {
  const counts = new Array<number>(8).fill(0);
  let isOver = false;
  const caller = async (index: number) => {
    while (!isOver) {
      assert.deepEqual(await call(), ASK);
      counts[index] = (counts[index] ?? 0) + 1;
    }
  };
  const callers = Promise.all(counts.map((_, index) => caller(index)));
  return {
    async turn() {
      const before = [...counts];
      const isThrough = () => counts.every((count, index) => count >= (before[index] ?? 0) + 2);
      await Promise.race([callers, eventually("every caller gets through", isThrough)]);
    },
    async stop() {
      isOver = true;
      await callers;
    },
  };
}

test("a killed process fails no repeatable call, under load and still listed", async (t) => {
  const { client, add, connections } = newMesh(t);
  const [doomed, other] = await Promise.all([spawnEcho(t), spawnEcho(t)]);
  add("doomed", doomed.address);
  add("other", other.address);
  const load = underLoad(() => client.read(ASK, { timeoutMs: 5_000 }));
  await load.turn();
  doomed.child.kill("SIGKILL");
  await eventually("the lost connection shows", () =>
    connections().some(({ address, state }) => address === doomed.address && state === "failing"),
  );
  await load.turn();
  await load.stop();
});

test("a server that leaves the registry and drains when its calls have ended fails no call", async (t) => {
  const { client, add, remove, connections } = newMesh(t);
  const [leaving, staying] = await Promise.all([serve(t), serve(t)]);
  add("leaving", leaving.address);
  add("staying", staying.address);
  const load = underLoad(() => client.write(ASK));
  await load.turn();
  remove("leaving");
  await load.turn();
  await new Promise((resolve) => leaving.server.tryShutdown(resolve));
  await load.turn();
  await load.stop();
  assert.deepEqual(
    connections().map(({ address }) => address),
    [staying.address],
  );
});

test("an endpoint that is gone keeps its calls, open or still connecting, until they have ended", async (t) => {
  for (const mode of ["pass", "stall"] as const) {
    const { client, add, remove } = newMesh(t);
    const gate = Promise.withResolvers<void>();
    const answer = async (call: UnaryCall) => {
      await gate.promise;
      return call.request;
    };
    const proxy = new TcpProxy((await serve(t, { answer })).address);
    t.after(() => proxy.close());
    proxy.mode = mode;
    add("a", await proxy.listen());
    const call = client.write(ASK, { timeoutMs: 20_000 });
    await eventually("the connection", () => proxy.open === 1);
    remove("a");
    if (mode === "stall") proxy.resume();
    gate.resolve();
    assert.deepEqual(await call, ASK);
    await eventually("the end of the connection", () => proxy.open === 0);
  }
});

test("a new instance at an old address is called at once, without the back-off of the old one that is still listed", async (t) => {
  const { client, add, connections } = newMesh(t);
  const first = await serve(t);
  add("first", first.address);
  await client.write(ASK);
  first.server.forceShutdown();
  while (connections()[0]?.state !== "failing") await client.write(ASK).catch(() => undefined);
  await serve(t, { port: Number(first.address.split(":")[1]) });
  add("second", first.address);
  assert.deepEqual(await client.write(ASK), ASK);
});

test("a call waits for the first endpoint", async (t) => {
  const { client, add } = newMesh(t);
  const { address } = await serve(t);
  const call = client.write(ASK, { timeoutMs: 20_000 });
  add("late", address);
  assert.deepEqual(await call, ASK);
});

test("calls go on while the store is away", async (t) => {
  const { client, store, add, remove } = newMesh(t);
  add("a", (await serve(t)).address);
  await client.write(ASK);
  store.setReachable(false);
  remove("a");
  assert.deepEqual(await client.write(ASK), ASK);
});

test("an answer over the limit is refused, and the connection lives on", async (t) => {
  const { client, add } = newMesh(t);
  const answer = async ({ request }: UnaryCall) => ({
    text: request.text.repeat(request.text === "big" ? 2_000_000 : 1),
  });
  add("a", (await serve(t, { answer })).address);
  await assert.rejects(client.write({ text: "big" }, { timeoutMs: 20_000 }), { kind: "exhausted" });
  assert.deepEqual(await client.write(ASK), ASK);
});
