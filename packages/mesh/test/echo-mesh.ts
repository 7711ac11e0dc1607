/** A mesh to call the echo service with, over real connections; the registry alone is the one in memory. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { Registry } from "prom-client";
import { systemClock } from "../src/clock.ts";
import type { Connect } from "../src/connection.ts";
import { endpointKey } from "../src/endpoint.ts";
import { connectHttp2 } from "../src/http2-connection.ts";
import { MemoryStore } from "../src/memory-store.ts";
import { Mesh } from "../src/mesh.ts";
import { ECHO, type Echo, type EchoServer, serveEcho } from "./echo.ts";
import { anEndpoint, silent } from "./fixtures.ts";

export const ASK: Echo = { text: "hello" };

type ConnectionFacts = { readonly address: string; readonly state: string; readonly inFlight: number };

export function newMesh(t: TestContext, connect: Connect = connectHttp2) {
  const store = new MemoryStore(systemClock);
  const registry = new Registry();
  const mesh = new Mesh({
    connectStore: () => store,
    prefix: "/mesh",
    service: "shop",
    clock: systemClock,
    random: Math.random,
    log: silent,
    registry,
    connect,
  });
  t.after(() => mesh.close());
  const add = (instance: string, address: string) => {
    const endpoint = anEndpoint(instance, { address });
    store.put(endpointKey("/mesh", endpoint), JSON.stringify(endpoint));
  };
  const remove = (instance: string) => store.delete(endpointKey("/mesh", { service: "echo", instance }));
  const connections = () =>
    (mesh.debug() as { targets: { connections: ConnectionFacts[] }[] }).targets.flatMap((target) => target.connections);
  return { mesh, client: mesh.client(ECHO, "echo"), store, registry, add, remove, connections };
}

export async function serve(t: TestContext, behaviour: Parameters<typeof serveEcho>[0] = {}): Promise<EchoServer> {
  const echo = await serveEcho(behaviour);
  t.after(() => echo.server.forceShutdown());
  return echo;
}

/** An echo server that can be killed. */
export async function spawnEcho(t: TestContext): Promise<{ child: ChildProcess; address: string }> {
  const script = fileURLToPath(new URL("echo-process.ts", import.meta.url));
  const child = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  const [line] = await once(child.stdout, "data");
  return { child, address: String(line).trim() };
}

/** An answer that does not come. */
export const never = () => new Promise<never>(() => undefined);
