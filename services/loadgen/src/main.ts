/** The load generator's command. Exit codes: 0 all orders were answered, 1 some were not, 2 wrong use. */
import { createWriteStream, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import type { Operation } from "@ordermesh/judge/history";
import { HELP, OPTIONS } from "./config.ts";
import { Load, quantile } from "./load.ts";
import { planOrders } from "./schedule.ts";
import { ShopClient } from "./shop-client.ts";

const PROGRESS_EVERY_MS = 1_000;

const { values } = parseArgs({ options: OPTIONS });
const [orders, ratePerS, seed] = [Number(values.orders), Number(values.rate), Number(values.seed)];
const problems = [
  ...(Number.isInteger(orders) && orders >= 1 && orders <= 1_000_000
    ? []
    : ["--orders must be a whole number from 1 to 1000000"]),
  ...(ratePerS >= 0.1 && ratePerS <= 5_000 ? [] : ["--rate must be 0.1 to 5000"]),
  ...(Number.isInteger(seed) ? [] : ["--seed must be a whole number"]),
  ...(URL.canParse(values.url) ? [] : ["--url must be a URL"]),
];
if (values.help) process.stdout.write(HELP);
else if (problems.length > 0) {
  process.stderr.write(`${problems.join("\n")}\n\n${HELP}`);
  process.exitCode = 2;
} else process.exitCode = await run();

async function run(): Promise<number> {
  const record = openHistory(values.history);
  const client = new ShopClient(values.url);
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  const plan = planOrders({ orders, ratePerS, seed, tag: values.tag, isPlain: values.plain });
  const load = new Load({ client, plan, record: record.write, signal: stop.signal });
  const startedMs = performance.now();
  const timer = setInterval(() => report("progress", load, startedMs), PROGRESS_EVERY_MS);
  await load.run();
  clearInterval(timer);
  report("summary", load, startedMs);
  client.close();
  await record.close();
  return load.counts.unknown === 0 && load.counts.begun === load.counts.planned ? 0 : 1;
}

function report(kind: "progress" | "summary", { counts, latenciesMs }: Load, startedMs: number): void {
  const seconds = (performance.now() - startedMs) / 1_000;
  const [p50Ms, p99Ms] = [Math.round(quantile(latenciesMs, 0.5)), Math.round(quantile(latenciesMs, 0.99))];
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ kind, seconds, ...counts, p50Ms, p99Ms })}\n`);
    return;
  }
  const { begun, planned, confirmed, cancelled, pending, unknown, inFlight } = counts;
  const line = `${begun}/${planned} placed, ${confirmed} confirmed, ${cancelled} cancelled, ${pending} pending, ${inFlight} in flight, ${unknown} unknown; p50 ${p50Ms} ms, p99 ${p99Ms} ms, ${(counts.acknowledged / seconds).toFixed(1)} orders/s`;
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
