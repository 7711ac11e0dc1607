/** A peer that goes silent while requests are still being sent to it: its connection is given up, whatever cannot be sent any more. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { systemClock } from "../src/clock.ts";
import { newMesh } from "./echo-mesh.ts";

/** A ping each 10 s and 3 s for its answer, and as much again for a busy machine. */
const NOTICED_MS = 26_000;
const LARGE = { text: "x".repeat(512 * 1024) };
/** SETTINGS with large windows for streams, the acknowledgement of the client's, and a large window for the connection. */
const GREETING = Buffer.from([
  ...[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0, 0, 0],
  ...[0, 0, 0, 4, 1, 0, 0, 0, 0],
  ...[0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7e, 0, 0, 0],
]);

/** Greets, promises to take everything, and takes no more. */
async function serveSilence(t: TestContext): Promise<{ address: string; accepted: () => number }> {
  let accepted = 0;
  const server = createServer((socket) => {
    accepted += 1;
    socket.on("error", () => undefined);
    socket.once("data", () => {
      socket.write(GREETING);
      socket.pause();
    });
    t.after(() => socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, accepted: () => accepted };
}

test("a connection with requests that a silent peer does not take is replaced", async (t) => {
  const { client, add, connections } = newMesh(t);
  const { address, accepted } = await serveSilence(t);
  add("one", address);
  const unsent = Array.from({ length: 40 }, () => client.write(LARGE, { timeoutMs: 2_000 }));
  for (const { status } of await Promise.allSettled(unsent)) assert.equal(status, "rejected");
  assert.equal(accepted(), 1);
  const endsMs = systemClock.nowMs() + NOTICED_MS;
  while (accepted() === 1 && systemClock.nowMs() < endsMs) {
    await client.read({ text: "" }, { timeoutMs: 500 }).catch(() => undefined);
    await systemClock.sleep(100);
  }
  assert.equal(accepted(), 2, JSON.stringify(connections()));
});
