/** `make bench-overload`: what a server still answers in time when it is asked for twice what it can do, with and without admission. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { systemClock } from "@ordermesh/mesh/clock";
import { MemoryStore } from "@ordermesh/mesh/memory-store";
import { Mesh } from "@ordermesh/mesh/mesh";
import { readCommandLine } from "@ordermesh/runtime/command-line";
import { Registry } from "prom-client";
import { BODY, ECHO } from "../mesh/echo.ts";

const HELP = `Usage: make bench-overload ARGS="[--seconds 20]"

A server works 2 ms for each call. First as many callers as keep it busy find its peak; then calls come at once, twice and five
times that rate, whether answered or not, each with a deadline of 500 ms. What counts are answers within the deadline.
`;
const DEADLINE_MS = 500;
const PEAK_S = 5;
/** Until the server has found its limits. */
const SETTLE_S = 8;
const BUSY = 8;
const TICK_MS = 5;

const { values } = readCommandLine(
  { options: { seconds: { type: "string", default: "20" }, help: { type: "boolean" } } },
  HELP,
);
if (values.help) process.stdout.write(HELP);
else await main(Number(values.seconds));

async function main(seconds: number): Promise<void> {
  process.stdout.write("| admission | asked | answered in time /s | of the peak |\n| --- | --- | --- | --- |\n");
  for (const admission of ["without", "with"]) {
    const { child, address } = await startServer(admission);
    try {
      const call = newClient(address);
      const peak = await peakOf(call);
      process.stdout.write(`| ${admission} | as it answers | ${peak.toFixed(0)} | 1 |\n`);
      for (const times of [2, 5]) {
        await openLoop(call, peak * times, SETTLE_S);
        const goodput = await openLoop(call, peak * times, seconds);
        process.stdout.write(
          `| ${admission} | ${times} × the peak | ${goodput.toFixed(0)} | ${(goodput / peak).toFixed(2)} |\n`,
        );
      }
    } finally {
      child.kill("SIGKILL");
    }
  }
  process.exit(0);
}

type Call = () => Promise<unknown>;

/** No retries: what is asked is what arrives. */
function newClient(address: string): Call {
  const store = new MemoryStore(systemClock);
  const common = { clock: systemClock, random: Math.random, log: console, registry: new Registry() };
  const mesh = new Mesh({ ...common, connectStore: () => store, prefix: "/mesh", service: "bench" });
  const facts = { adminAddress: address, version: "", zone: "", weight: 1, protocol: "grpc", pod: "", node: "" };
  store.put("/mesh/endpoints/echo/one", JSON.stringify({ service: "echo", instance: "one", address, ...facts }));
  const limits = { inFlight: 100_000, queued: 100_000 };
  store.put("/mesh/policy/echo", JSON.stringify({ schemaVersion: 1, retries: { attempts: 1 }, limits }));
  const client = mesh.client(ECHO, "echo", DEADLINE_MS);
  return () => client.say(BODY);
}

async function peakOf(call: Call): Promise<number> {
  const endsMs = performance.now() + PEAK_S * 1_000;
  let answered = 0;
  const caller = async () => {
    while (performance.now() < endsMs) {
      await call();
      answered += 1;
    }
  };
  await Promise.all(Array.from({ length: BUSY }, caller));
  return answered / PEAK_S;
}

/** Resolves with the answers a second that came within the deadline. */
async function openLoop(call: Call, perSecond: number, seconds: number): Promise<number> {
  const startedMs = performance.now();
  const running = new Set<Promise<void>>();
  let sent = 0;
  let answered = 0;
  while (performance.now() - startedMs < seconds * 1_000) {
    const due = ((performance.now() - startedMs) / 1_000) * perSecond;
    for (; sent < due; sent += 1) {
      const one: Promise<void> = call()
        .then(
          () => {
            answered += 1;
          },
          () => undefined,
        )
        .finally(() => running.delete(one));
      running.add(one);
    }
    await sleep(TICK_MS);
  }
  await Promise.all(running);
  return answered / seconds;
}

async function startServer(admission: string): Promise<{ child: ChildProcess; address: string }> {
  const script = fileURLToPath(new URL("server.ts", import.meta.url));
  const child = spawn(process.execPath, [script, admission], { stdio: ["ignore", "pipe", "inherit"] });
  if (child.stdout === null) throw new Error("no output");
  const [address] = (await once(createInterface(child.stdout), "line")) as [string];
  return { child, address };
}
