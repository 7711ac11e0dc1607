/** `make endurance`: orders for half an hour on the cluster, and what it took. Exit codes: 0 nothing wrong, 1 something is, 3 wrong use. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { kubectl, NAMESPACE, ROOT } from "@ordermesh/cluster/tools";
import { type Row, tableOf } from "@ordermesh/meshctl/output";
import { judged, pods, restarts } from "../cluster/harness.ts";
import { toMib } from "../cluster/quantity.ts";
import { type LongLoad, readLongLoad } from "../harness/long-load.ts";
import { type Peak, peaksOf, type Sample, samplesOf } from "./usage.ts";

/** A kubelet looks as often. */
const SAMPLE_MS = 10_000;
const TELL_MS = 60_000;
const HELP = `Usage: make endurance ARGS="[options]"

Places orders on the system that \`make up\` has started, judges them, and tells the CPU and memory that every container took beside what it asks
for. Nothing may be lost, and no container restarted.

  --minutes N   for how long (default 30)
  --rate N      orders a second (default 20)
  --seed N      decides the orders (default 1)
Exit codes: 0 nothing wrong, 1 an invariant is broken, an order was refused or unanswered, or a container was restarted, 3 wrong use.
`;

/** MiB that a container asks for and may have. */
type Requested = { readonly requestMib: number; readonly limitMib: number };

const say = (line: string) => void process.stdout.write(`${line}\n`);
const load = readLongLoad(HELP);
process.exitCode = typeof load === "number" ? load : await endure(load);

async function endure({ minutes, rate, seed }: LongLoad): Promise<number> {
  const dir = join(ROOT, ".cache", "runs", "endurance");
  mkdirSync(dir, { recursive: true });
  const before = await restarts();
  const samples: Sample[] = [];
  const seconds = minutes * 60;
  const { verdict, load, isAtRest } = await judged({ seed, seconds, rate, say, progress: tellRarely() }, () =>
    sampleFor(seconds, samples),
  );
  const peaks = peaksOf(samples);
  const requested = await requestedByContainer();
  const restarted = (await restarts()).filter((line) => !before.includes(line));
  say(`\n${tableOf(peaks.map((peak) => rowOf(peak, requested.get(peak.container))))}`);
  say(
    `\n${load.begun} orders in ${minutes} minutes at ${rate}/s: ${load.refused} refused, ${load.unknown} without an answer, ` +
      `${load.retries} asked again; ${isAtRest ? "" : "not "}at rest; ${verdict.verdict}; containers restarted: ${restarted.join(", ") || "none"}`,
  );
  writeFileSync(
    join(dir, "result.json"),
    `${JSON.stringify({ minutes, rate, seed, load, verdict, peaks, restarted }, null, 1)}\n`,
  );
  const isGood = verdict.verdict === "Passed" && isAtRest && load.refused + load.unknown + restarted.length === 0;
  return isGood ? 0 : 1;
}

async function sampleFor(seconds: number, samples: Sample[]): Promise<void> {
  const { items } = JSON.parse(await kubectl("get", "nodes", "-o", "json"));
  const nodes: string[] = items.map(({ metadata }: { metadata: { name: string } }) => metadata.name);
  const endsMs = performance.now() + seconds * 1_000;
  while (performance.now() < endsMs) {
    for (const node of nodes) {
      // A kubelet that does not answer just now is asked again in ten seconds.
      const summary = await kubectl("get", "--raw", `/api/v1/nodes/${node}/proxy/stats/summary`).catch(() => undefined);
      if (summary !== undefined) samples.push(...samplesOf(JSON.parse(summary), NAMESPACE));
    }
    await sleep(SAMPLE_MS);
  }
}

async function requestedByContainer(): Promise<ReadonlyMap<string, Requested>> {
  const containers = (await pods()).flatMap(({ spec }) => spec.containers);
  return new Map(
    containers.map(({ name, resources: { requests, limits } }) => [
      name,
      { requestMib: toMib(requests.memory), limitMib: toMib(limits.memory) },
    ]),
  );
}

function rowOf(peak: Peak, requested: Requested | undefined): Row {
  const { container, pods: count, meanCpuMillis, peakCpuMillis, meanMib, peakMib } = peak;
  return {
    container,
    pods: count,
    "CPU m": meanCpuMillis.toFixed(0),
    "peak m": peakCpuMillis.toFixed(0),
    MiB: meanMib.toFixed(0),
    "peak MiB": peakMib.toFixed(0),
    request: requested?.requestMib ?? "",
    limit: requested?.limitMib ?? "",
    "of limit": requested === undefined ? "" : `${((100 * peakMib) / requested.limitMib).toFixed(0)} %`,
  };
}

/** What is going on, once a minute. */
function tellRarely(): (line: string) => void {
  let lastMs = performance.now();
  return (line) => {
    if (performance.now() - lastMs < TELL_MS) return;
    lastMs = performance.now();
    say(line);
  };
}
