/** Real etcd processes of a test's own, and a registered echo server that is called all the time meanwhile. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { cp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { prepareEtcd } from "@ordermesh/local/etcd";
import { startPart } from "@ordermesh/local/parts";
import { silent as noProgress } from "@ordermesh/local/progress";
import { chooseSources, findTools } from "@ordermesh/local/sources";
import { Registry } from "prom-client";
import { systemClock } from "../src/clock.ts";
import { connectEtcd } from "../src/etcd.ts";
import { Mesh } from "../src/mesh.ts";
import { ECHO } from "./echo.ts";
import { ASK, serve } from "./echo-mesh.ts";
import { anEndpoint, eventually, silent } from "./fixtures.ts";

const { PATH = "" } = env;
const CALL_EVERY_MS = 5;
const CACHE = fileURLToPath(new URL("../../../.cache", import.meta.url));
/** Not the shared etcd, which others need alive. */
const source = chooseSources(findTools({ PATH }, CACHE)).etcd;
/** For the `skip` option of a test. */
export const skip = source.kind === "missing" && source.sentence;

/** `peers`: addresses at which the members reach each other; `onPorts` learns where they listen. */
export async function newEtcd(
  t: TestContext,
  nodes: number,
  peers: readonly string[] = [],
  onPorts: (ports: readonly number[]) => void = () => undefined,
) {
  const root = mkdtempSync(join(tmpdir(), "mesh-etcd-"));
  const dataDir = join(root, "data");
  const options = { dataDir, logDir: root, cacheDir: CACHE, source, progress: noProgress, nodes, peers, env: { PATH } };
  const etcd = await prepareEtcd(options);
  onPorts(etcd.processes.map(({ spec }) => Number(/listen-peer-urls=\S+:(\d+)/.exec(spec.args.join(" "))?.[1])));
  await startPart(etcd);
  const { address, processes } = etcd;
  t.after(async () => {
    for (const process of processes) process.kill();
    await eventually("the end of etcd", () => processes.every(({ state }) => state === "stopped"));
    rmSync(root, { recursive: true });
  });
  const [member] = processes;
  assert.ok(member);
  const kill = async () => {
    const end = member.exited();
    member.kill();
    await end;
  };
  const backup = join(root, "backup");
  return {
    member,
    members: processes,
    kill,
    endpoints: address.split(","),
    // Not at once: a process that waits for a disk answers no call, and calls are what is watched.
    loseDisk: () => rm(dataDir, { recursive: true }),
    backUp: () => cp(dataDir, backup, { recursive: true }),
    restore: async () => {
      await rm(dataDir, { recursive: true });
      await cp(backup, dataDir, { recursive: true });
    },
  };
}

export function newMesh(t: TestContext, endpoints: readonly string[], service: string): Mesh {
  const common = { clock: systemClock, random: Math.random, log: silent };
  const mesh = new Mesh({
    ...common,
    connectStore: (metrics) => connectEtcd({ ...common, endpoints, metrics }),
    prefix: "/mesh",
    service,
    registry: new Registry(),
  });
  t.after(() => mesh.close());
  return mesh;
}

/** An echo server that is registered, and a caller that calls it all the time; `end` fails if any call did. */
export async function newSystem(t: TestContext, endpoints: readonly string[]) {
  const servers: Mesh[] = [];
  const register = async (instance: string) => {
    const server = newMesh(t, endpoints, "echo");
    servers.push(server);
    server.registrar.register(anEndpoint(instance, { address: (await serve(t)).address }));
    return server.registrar;
  };
  const registrar = await register("echo-1");
  const client = newMesh(t, endpoints, "shop").client(ECHO, "echo");
  await client.write(ASK, { timeoutMs: 20_000 });
  let isOver = false;
  const calls = (async () => {
    while (!isOver) {
      await client.write(ASK);
      await systemClock.sleep(CALL_EVERY_MS);
    }
  })();
  /** Resolves once somebody who starts now sees exactly these instances. */
  const isListed = async (...instances: string[]) => {
    const newcomer = newMesh(t, endpoints, "newcomer");
    await eventually(`${instances} in etcd`, () => String(echoesOf(newcomer)) === String(instances));
  };
  const end = async () => {
    isOver = true;
    await calls;
    await Promise.all(servers.map((server) => server.close()));
  };
  return { register, registrar, isListed, end };
}

function echoesOf(mesh: Mesh): string[] {
  const { endpoints } = mesh.debug() as { endpoints: { echo?: { instance: string }[] } };
  return (endpoints.echo ?? []).map(({ instance }) => instance);
}
