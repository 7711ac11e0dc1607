/** `make bench`: orders a second through the storefront, and what one order costs. Everything runs on this machine, the load too. */
import { cpus } from "node:os";
import { join } from "node:path";
import { startFreshSystem } from "@ordermesh/local/fresh-system";
import { silent } from "@ordermesh/local/progress";
import { ROOT, type System } from "@ordermesh/local/system";
import { readCommandLine } from "@ordermesh/runtime/command-line";
import { LoadProcess } from "@ordermesh/test/load-process";
import { difference, readCounts, readCpu } from "./cost.ts";

const HELP = `Usage: make bench ARGS="[--rates 50,100,200,300] [--seconds 15]"

Places plain orders at each rate and prints, as markdown: throughput and latency, CPU for each process and order, and the
statements, calls and events of an order.
`;

const { values } = readCommandLine(
  {
    options: {
      rates: { type: "string", default: "50,100,200,300,400" },
      seconds: { type: "string", default: "15" },
      help: { type: "boolean" },
    },
  },
  HELP,
);
if (values.help) process.stdout.write(HELP);
else await bench(values.rates.split(",").map(Number), Number(values.seconds));

async function bench(rates: readonly number[], seconds: number): Promise<void> {
  const system = await startFreshSystem("bench", process.env, {
    progress: silent,
    serviceEnv: { MESH_ENVIRONMENT: "production", MESH_LOG_LEVEL: "warn" },
  });
  try {
    await place(system, 50, 5, 999); // Warms compilers and pools.
    process.stdout.write(
      `${cpus().length} cores, Node ${process.versions.node}\n\n| asked/s | answered/s | p50 ms | p99 ms | unknown |\n| --- | --- | --- | --- | --- |\n`,
    );
    let last = await place(system, rates[0] ?? 50, seconds, 1);
    process.stdout.write(last.row);
    for (const [index, rate] of rates.slice(1).entries()) {
      last = await place(system, rate, seconds, index + 2);
      process.stdout.write(last.row);
    }
    process.stdout.write(
      `\nAt ${last.rate}/s, for each order:\n\n| process | CPU ms |\n| --- | --- |\n${last.cpu}\n\n| what | times |\n| --- | --- |\n${last.counts}\n`,
    );
  } finally {
    await system.stop();
  }
}

async function place(system: System, rate: number, seconds: number, seed: number) {
  const history = join(ROOT, ".cache", "runs", "bench", `history-${seed}.jsonl`);
  const countsBefore = await readCounts(system);
  const load = new LoadProcess({
    url: system.url,
    orders: Math.round(rate * seconds),
    rate,
    seed,
    history,
    tag: "bench",
    isPlain: true,
  });
  const cpuBefore = readCpu(system, {});
  const startedMs = performance.now();
  let cpuLoad = 0;
  const timer = setInterval(() => {
    cpuLoad = readCpu(system, { load: load.pid }).get("load") || cpuLoad;
  }, 200);
  const summary = await load.done();
  clearInterval(timer);
  const elapsedS = (performance.now() - startedMs) / 1_000;
  const cpuUsed = new Map([...difference(readCpu(system, {}), cpuBefore), ["loadgen", cpuLoad] as [string, number]]);
  const counts = difference(await readCounts(system), countsBefore);
  const perOrder = (value: number) => value / summary.acknowledged;
  const total = [...cpuUsed.values()].reduce((sum, value) => sum + value, 0);
  const cpuRows = [...cpuUsed]
    .sort(([, a], [, b]) => b - a)
    .map(([name, value]) => `| ${name} | ${(perOrder(value) * 1_000).toFixed(2)} |`);
  const countRows = counts
    .map(([name, value]) => [name, perOrder(value)] as const)
    .filter(([, value]) => value >= 0.05)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `| ${name} | ${value.toFixed(2)} |`);
  return {
    rate,
    row: `| ${rate} | ${(summary.acknowledged / elapsedS).toFixed(0)} | ${summary.p50Ms} | ${summary.p99Ms} | ${summary.unknown} |\n`,
    cpu: [...cpuRows, `| together | ${(perOrder(total) * 1_000).toFixed(2)} |`].join("\n"),
    counts: countRows.join("\n"),
  };
}
