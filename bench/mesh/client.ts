/**
 * One client of a benchmark in a process of its own, so that its CPU is its own. Arguments: kind, addresses, calls at a
 * time, seconds. Prints one JSON line: calls, failures, seconds, CPU µs for each call, latencies in ms.
 */
import { argv, env } from "node:process";
import { Client, Metadata } from "@grpc/grpc-js";
import { systemClock } from "@ordermesh/mesh/clock";
import { connectGrpc } from "@ordermesh/mesh/grpc-connection";
import { connectHttp2 } from "@ordermesh/mesh/http2-connection";
import { IdentityFiles } from "@ordermesh/mesh/identity-files";
import { MemoryStore } from "@ordermesh/mesh/memory-store";
import { Mesh } from "@ordermesh/mesh/mesh";
import { Registry } from "prom-client";
import { folderOf } from "./certificates.ts";
import { asBuffer, BODY, ECHO, PATH } from "./echo.ts";
import { connectNode, grpcCredentials, niceGrpc, ROUND_ROBIN, type Say, TIMEOUT_MS } from "./others.ts";

const WARM_MS = 1_000;

const [kind = "", addresses = "", wide = "64", seconds = "3"] = argv.slice(2);
const CLIENTS: Readonly<Record<string, (targets: readonly string[]) => Say>> = {
  bare,
  "nice-grpc": niceGrpc,
  "connect-node": connectNode,
};
const say = (CLIENTS[kind] ?? ((targets) => viaMesh(targets, kind)))(addresses.split(","));
await load(say, Number(wide), WARM_MS);
process.stdout.write(`${JSON.stringify(await load(say, Number(wide), Number(seconds) * 1_000))}\n`);
process.exit(0);

/** grpc-js alone, with the balancer that it has. */
function bare(targets: readonly string[]): Say {
  const client = new Client(`ipv4:${targets.join(",")}`, grpcCredentials(), ROUND_ROBIN);
  const unchanged = (bytes: Buffer) => bytes;
  return () =>
    new Promise((resolve, reject) => {
      const deadline = { deadline: Date.now() + TIMEOUT_MS };
      client.makeUnaryRequest(PATH, asBuffer, unchanged, BODY, new Metadata(), deadline, (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      );
    });
}

/** Everything on: registry, balancing, ejection, budget, limits, deadline, trace, metrics. */
function viaMesh(targets: readonly string[], connection: string): Say {
  const dir = folderOf(env, "bench");
  const store = new MemoryStore(systemClock);
  const mesh = new Mesh({
    connectStore: () => store,
    prefix: "/mesh",
    service: "bench",
    clock: systemClock,
    random: Math.random,
    log: console,
    registry: new Registry(),
    connect: connection === "grpc-js" ? connectGrpc : connectHttp2,
    ...(dir === undefined
      ? {}
      : {
          openIdentity: (metrics) =>
            new IdentityFiles({ dir, trustDomain: "ordermesh", clock: systemClock, log: console, metrics }),
        }),
  });
  for (const [index, address] of targets.entries()) {
    const facts = { adminAddress: address, version: "", zone: "", weight: 1, protocol: "grpc", pod: "", node: "" };
    const endpoint = { service: "echo", instance: `echo-${index}`, address, ...facts };
    store.put(`/mesh/endpoints/echo/echo-${index}`, JSON.stringify(endpoint));
  }
  const client = mesh.client(ECHO, "echo", TIMEOUT_MS);
  return () => client.say(BODY);
}

async function load(call: Say, atATime: number, forMs: number) {
  const endsMs = performance.now() + forMs;
  const latencies: number[] = [];
  let failures = 0;
  const startedMs = performance.now();
  const cpu = process.cpuUsage();
  await Promise.all(
    Array.from({ length: atATime }, async () => {
      while (performance.now() < endsMs) {
        const atMs = performance.now();
        await call().catch(() => {
          failures += 1;
        });
        latencies.push(performance.now() - atMs);
      }
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  const tookS = (performance.now() - startedMs) / 1_000;
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? 0;
  const calls = latencies.length;
  return { calls, failures, tookS, cpuUs: (user + system) / calls, p50Ms: at(0.5), p99Ms: at(0.99) };
}
