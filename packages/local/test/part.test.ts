/** Ports for what is started in a moment. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { test } from "node:test";
import { freePorts } from "../src/part.ts";

test("ports that are asked for at the same time differ, and none is named again", async () => {
  const first = await Promise.all([freePorts(20), freePorts(20)]);
  const ports = [...first.flat(), ...(await freePorts(20))];
  assert.equal(new Set(ports).size, 60);
});

test("a port that somebody listens on is passed over", async (t) => {
  const [last = 0] = await freePorts(1);
  const server = createServer().listen(last + 1, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  assert.notEqual((await freePorts(1))[0], last + 1);
});

test("none is one that the system gives to outgoing connections", { skip: process.platform !== "linux" }, async () => {
  const [from = 0] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split(/\s+/).map(Number);
  for (const port of await freePorts(100)) assert.ok(port < from, `${port} is from ${from} on`);
});
