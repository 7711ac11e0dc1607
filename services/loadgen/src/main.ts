/** The load generator's command. Exit codes: 0 all orders were answered, 1 some were not, 2 wrong use. */
import { createWriteStream, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Operation } from "@ordermesh/judge/history";
import { systemClock } from "@ordermesh/mesh/clock";
import { readCommandLine } from "@ordermesh/runtime/command-line";
import { Arrivals } from "./arrivals.ts";
import { findProblems, HELP, OPTIONS } from "./config.ts";
import { type Counts, Load, quantile } from "./load.ts";
import { Runs } from "./runs.ts";
import { planOrders } from "./schedule.ts";
import { startServer } from "./server.ts";
import { ShopClient } from "./shop-client.ts";

const PROGRESS_EVERY_MS = 1_000;

const { values } = readCommandLine({ options: OPTIONS }, HELP, 2);
const problems = findProblems(values);
const [orders, ratePerS, seed] = [Number(values.orders), Number(values.rate), Number(values.seed)];
const stop = new AbortController();
if (values.help) process.stdout.write(HELP);
else if (problems.length > 0) {
  process.stderr.write(`${problems.join("\n")}\n\n${HELP}`);
  process.exitCode = 2;
} else {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  process.exitCode = values.serve ? await serve() : await run();
}

async function serve(): Promise<number> {
  const client = new ShopClient(values.url);
  const historyDir = values["history-dir"] ?? mkdtempSync(join(tmpdir(), "loadgen-"));
  const runs = new Runs({ client, clock: systemClock, historyDir });
  const server = await startServer(runs, { host: values.host, port: Number(values.port) });
  process.stdout.write(`${JSON.stringify({ kind: "serving", host: values.host, port: server.port, historyDir })}\n`);
  await new Promise((resolve) => stop.signal.addEventListener("abort", resolve));
  await runs.finishAll();
  await server.close();
  client.close();
  return 0;
}

async function run(): Promise<number> {
  const history = openHistory(values.history);
  const client = new ShopClient(values.url);
  const latenciesMs: number[] = [];
  const record = (operation: Operation) => {
    history.write(operation);
    if (operation.phase === "ok" && operation.latencyMs !== undefined) latenciesMs.push(operation.latencyMs);
  };
  const startedMs = performance.now();
  const load = new Load({ client, record, clock: systemClock, offsetMs: -startedMs, signal: stop.signal });
  const tell = (kind: "progress" | "summary") => report(kind, load.counts, latenciesMs, startedMs);
  const timer = setInterval(() => tell("progress"), PROGRESS_EVERY_MS);
  const plan = planOrders({ seed, tag: values.tag, orders: values.plain ? "Plain" : "Mixed" }).take(orders);
  for await (const arrival of new Arrivals(plan, ratePerS, systemClock).until(stop.signal)) load.place(arrival);
  await load.untilIdle();
  clearInterval(timer);
  tell("summary");
  client.close();
  await history.close();
  return load.counts.unknown === 0 && load.counts.begun === orders ? 0 : 1;
}

function report(kind: "progress" | "summary", counts: Counts, latenciesMs: readonly number[], startedMs: number): void {
  const seconds = (performance.now() - startedMs) / 1_000;
  const [p50Ms, p99Ms] = [quantile(latenciesMs, 0.5), quantile(latenciesMs, 0.99)];
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ kind, seconds, planned: orders, ...counts, p50Ms, p99Ms })}\n`);
    return;
  }
  const { begun, confirmed, cancelled, pending, unknown, inFlight } = counts;
  const line = `${begun}/${orders} placed, ${confirmed} confirmed, ${cancelled} cancelled, ${pending} pending, ${inFlight} in flight, ${unknown} unknown; p50 ${p50Ms} ms, p99 ${p99Ms} ms, ${(counts.acknowledged / seconds).toFixed(1)} orders/s`;
  process.stdout.write(process.stdout.isTTY && kind === "progress" ? `\r\u001b[K${line}` : `${line}\n`);
}

function openHistory(file: string | undefined) {
  if (file === undefined) return { write: () => undefined, close: async () => undefined };
  mkdirSync(dirname(file), { recursive: true });
  const stream = createWriteStream(file);
  return {
    write: (operation: Operation) => void stream.write(`${JSON.stringify(operation)}\n`),
    close: () => new Promise<void>((resolve) => stream.end(() => resolve())),
  };
}
