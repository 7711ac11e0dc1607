/**
 * One process that follows the registry while it changes; its CPU is the measurement. Arguments: `memory`, `etcd` or
 * `alone` (the store in memory without a reader), endpoints, services, changes a second, seconds. Prints one JSON line.
 */
import { argv, env } from "node:process";
import { systemClock } from "@ordermesh/mesh/clock";
import type { Endpoint } from "@ordermesh/mesh/endpoint";
import { connectEtcd } from "@ordermesh/mesh/etcd";
import { MemoryStore } from "@ordermesh/mesh/memory-store";
import { aFleet, ClientView, put, serviceName } from "./fleet.ts";

/** Services that one client calls. */
const CALLED = 5;
const TICK_MS = 10;
const SETTLE_MS = 2_000;

const [kind = "memory", endpoints = "1000", services = "1", perSecond = "10", seconds = "20"] = argv.slice(2);
const fleet = aFleet(Number(endpoints), Number(services));
const called = Array.from({ length: Math.min(CALLED, Number(services)) }, (_, number) => serviceName(number));

if (kind === "etcd") await followEtcd();
else await followMemory();
process.exit(0);

async function followMemory(): Promise<void> {
  const store = new MemoryStore(systemClock);
  for (const endpoint of fleet) store.put(...put(endpoint));
  const view = kind === "alone" ? undefined : new ClientView(() => store, called);
  if (view === undefined) store.subscribe("/", () => undefined);
  await systemClock.sleep(SETTLE_MS);
  const before = process.cpuUsage();
  const changes = await change(async (endpoint) => store.put(...put(endpoint)));
  report(before, changes, view);
}

/** Another process changes etcd; it is told to begin by the line on our output. */
async function followEtcd(): Promise<void> {
  const common = { clock: systemClock, random: Math.random, log: console };
  const { MESH_ETCD_ENDPOINTS: address = "http://127.0.0.1:2379" } = env;
  const view = new ClientView((metrics) => connectEtcd({ ...common, endpoints: address.split(","), metrics }), called);
  while (view.targets.some(({ service }) => view.table.of(service).length === 0)) await systemClock.sleep(TICK_MS);
  await systemClock.sleep(SETTLE_MS);
  const revision = view.table.revision;
  process.stdout.write("ready\n");
  await systemClock.sleep(SETTLE_MS);
  const before = process.cpuUsage();
  const from = view.table.revision;
  await systemClock.sleep(Number(seconds) * 1_000);
  report(before, Number(view.table.revision - (from > revision ? from : revision)), view);
}

/** The same endpoints again and again, each time with another weight. */
async function change(write: (endpoint: Endpoint) => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  let done = 0;
  for (;;) {
    const tookMs = performance.now() - startedMs;
    if (tookMs >= Number(seconds) * 1_000) return done;
    for (const due = (tookMs / 1_000) * Number(perSecond); done < due; done += 1) {
      const endpoint = fleet[(done * 7) % fleet.length] as Endpoint;
      await write({ ...endpoint, weight: 1 + (done % 100) });
    }
    await systemClock.sleep(TICK_MS);
  }
}

function report(before: NodeJS.CpuUsage, changes: number, view: ClientView | undefined): void {
  const { user, system } = process.cpuUsage(before);
  const known = view?.targets.reduce((sum, { service }) => sum + view.table.of(service).length, 0) ?? 0;
  const share = (user + system) / (Number(seconds) * 1e6);
  process.stdout.write(`${JSON.stringify({ share, changesPerSecond: changes / Number(seconds), known })}\n`);
}
