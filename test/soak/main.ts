/** `make soak`: random faults for half an hour, orders all the while, judged. Exit codes: 0 nothing wrong, 1 something is, 2 memory cannot be told, 3 wrong use. */
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Experiment } from "@ordermesh/chaos/backend";
import { MIN_DURATION_SECONDS, withDuration } from "@ordermesh/chaos/schedule";
import { COMPONENT_LABEL } from "@ordermesh/chaos/service-of";
import { readCatalogue } from "@ordermesh/chaos-local/catalogue";
import { ChaosSystem } from "@ordermesh/chaos-local/chaos-system";
import { canBeScheduled, runStep, untilRest } from "@ordermesh/chaos-local/run-schedule";
import { progressTo } from "@ordermesh/local/progress";
import { SERVICES } from "@ordermesh/local/services";
import { ROOT, type System } from "@ordermesh/local/system";
import { seeded } from "@ordermesh/mesh/seeded";
import { tableOf } from "@ordermesh/meshctl/output";
import { type LongLoad, readLongLoad } from "../harness/long-load.ts";
import { type Growth, growthOf, residentKib, type Sample } from "./memory.ts";

const MAX_DURATION_SECONDS = 15;
const MAX_GAP_MS = 10_000;
const SAMPLE_MS = 10_000;
/** Orders before the first fault, by the rate that is asked for: until V8 has compiled what orders need, memory grows with their number. */
const WARM_UP = { minutes: 5, times: 2 };
/** What is left out of each life, in minutes, for each column of the table; the first decides, the others tell how long V8 takes room. */
const WARM_UPS = [3, 10, 15];
/** Growth of a process that is asked for, of its memory in ten minutes. */
const MAX_GROWTH = 0.01;
const WITHOUT_KILLS = "without-kills";
const HELP = `Usage: make soak ARGS="[options]"

Places orders on a system of its own without a pause, with one fault of k8s/chaos after another, waits until nothing is on its way, and
judges all of it at once. Before them come ${WARM_UP.minutes} minutes of ${WARM_UP.times} times as many orders. Tells how the memory of each process went, without the
first ${WARM_UPS.join(", ")} minutes of each of its lives; of lives that are too short for it nothing is said.

  --minutes N      for how long (default 30)
  --rate N         orders a second (default 20)
  --seed N         decides faults and orders (default 1)
  --${WITHOUT_KILLS}  no fault that ends a process of a service, so that all live long enough
Exit codes: 0 nothing wrong, 1 an invariant is broken or memory grows by more than ${MAX_GROWTH * 100} % in ten minutes, 2 neither, but a process
lived too short to tell, 3 wrong use.
`;

const say = (line: string) => void process.stdout.write(`${line}\n`);
const abort = new AbortController();
process.once("SIGINT", () => abort.abort());
process.exitCode = await main();

async function main(): Promise<number> {
  const load = readLongLoad(HELP, [WITHOUT_KILLS]);
  if (typeof load === "number") return load;
  const progress = progressTo(process.stdout);
  const { signal } = abort;
  const start = () => ChaosSystem.start({ name: "soak", env: process.env, progress, signal });
  await (await start()).stop(); // Once before, so that Node has compiled all, as in the image: what it does first takes memory for good.
  const soaked = await start();
  try {
    return await soak(soaked, load);
  } finally {
    await soaked.stop();
  }
}

async function soak(soaked: ChaosSystem, options: LongLoad): Promise<number> {
  const { workload, judge, clock } = soaked.ports;
  await warmUp(soaked, options);
  const run = randomUUID();
  const sinceMs = clock.wallMs();
  const samples: Sample[] = [];
  await workload.start({ name: run, ratePerSecond: options.rate, seed: options.seed });
  const sampling = setInterval(() => void sample(soaked.system, samples), SAMPLE_MS);
  const faults = await disturb(soaked, options).finally(() => clearInterval(sampling));
  await workload.finish(run);
  await untilRest(soaked.ports, sinceMs);
  const history = await workload.history(run);
  if (history === undefined) throw new Error("the customers' record is lost");
  const verdicts = await judge.judge(history, sinceMs);
  const columns = WARM_UPS.map((minutes) => growthOf(samples, minutes * 60_000));
  const [growths = []] = columns;
  say(`\n${tableOf(verdicts.map(({ name, held, examined }) => ({ invariant: name, held, examined })))}`);
  const rows = growths.map((growth, index) =>
    rowOf(
      growth,
      columns.map((column) => column[index]?.perTenMinutes ?? Number.NaN),
    ),
  );
  say(`\nMemory, and how much it grows in ten minutes after so many of a life:\n${tableOf(rows)}`);
  const broken = verdicts.filter(({ held }) => held === "False");
  const growing = growths.filter(({ perTenMinutes }) => perTenMinutes > MAX_GROWTH);
  const untold = growths.filter(({ perTenMinutes }) => Number.isNaN(perTenMinutes));
  const placed = new Set(history.filter(({ op }) => op === "place").map(({ key }) => key)).size;
  say(
    `\n${faults} faults in ${options.minutes} minutes at ${options.rate} orders/s, ${placed} orders; ` +
      `${broken.length} invariants broken; ${growing.length} of ${growths.length} processes grow, ${untold.length} lived too short to tell`,
  );
  const file = join(ROOT, ".cache/runs/soak/result.json");
  const result = { ...options, faults, placed, verdicts, growths, samples };
  writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
  if (broken.length + growing.length > 0) return 1;
  return untold.length > 0 ? 2 : 0;
}

async function warmUp({ ports }: ChaosSystem, { rate, seed }: LongLoad): Promise<void> {
  const { workload, clock } = ports;
  const [run, sinceMs] = [randomUUID(), clock.wallMs()];
  say(`${WARM_UP.minutes} minutes of ${rate * WARM_UP.times} orders/s until the first fault`);
  await workload.start({ name: run, ratePerSecond: rate * WARM_UP.times, seed });
  await sleep(WARM_UP.minutes * 60_000, undefined, { signal: abort.signal }).catch(() => undefined);
  await workload.finish(run);
  await untilRest(ports, sinceMs);
}

/** One fault after another, in an order that the seed decides. Resolves with how many there were. */
async function disturb(soaked: ChaosSystem, { minutes, seed, flags }: LongLoad): Promise<number> {
  const { signal } = abort;
  const random = seeded(seed);
  const upTo = (most: number) => Math.floor(random() * (most + 1));
  const usable = readCatalogue([join(ROOT, "k8s/chaos")])
    .filter((experiment) => canBeScheduled(soaked, experiment))
    .filter((experiment) => !(flags.includes(WITHOUT_KILLS) && endsService(experiment)));
  const beganMs = performance.now();
  const endsMs = beganMs + minutes * 60_000;
  let faults = 0;
  while (performance.now() < endsMs && !signal.aborted) {
    const chosen = usable[upTo(usable.length - 1)] as Experiment;
    const seconds = MIN_DURATION_SECONDS + upTo(MAX_DURATION_SECONDS - MIN_DURATION_SECONDS);
    const experiment = withDuration(chosen, seconds, upTo(1_000_000));
    const atS = (performance.now() - beganMs) / 1_000;
    const tell = (line: string) =>
      say(`${atS.toFixed(0).padStart(5)} s  ${seconds.toString().padStart(2)} s of ${line}`);
    await runStep(soaked.ports, { experiment, atSeconds: 0 }, { startMs: performance.now(), say: tell, signal });
    faults += 1;
    await sleep(upTo(MAX_GAP_MS), undefined, { signal }).catch(() => undefined);
  }
  return faults;
}

function endsService({ spec: { action, target } }: Experiment): boolean {
  if (action.type === "CrashPoint") return action.crashPoint.effect === "kill";
  const component = target.selector.matchLabels[COMPONENT_LABEL];
  return action.type === "PodKill" && SERVICES.some(({ name }) => name === component);
}

async function sample(system: System, samples: Sample[]): Promise<void> {
  const running = SERVICES.flatMap(({ name: service }) => system.instancesOf(service)).flatMap((name) => {
    const { pid } = system.process(name);
    return pid === undefined ? [] : [{ name, pid }];
  });
  const found = await residentKib(running.map(({ pid }) => pid));
  const atMs = performance.now();
  for (const { name, pid } of running) {
    const kib = found.get(pid);
    if (kib !== undefined) samples.push({ name, pid, atMs, kib });
  }
}

/** `perTenMinutes` for each warm-up in turn. */
function rowOf({ name, lives, minutes, meanMib }: Growth, perTenMinutes: readonly number[]) {
  const shares = perTenMinutes.map((share, index) => [
    `after ${WARM_UPS[index]} min`,
    Number.isNaN(share) ? "too short" : `${(share * 100).toFixed(1)} %`,
  ]);
  return { process: name, lives, minutes: minutes.toFixed(1), MiB: meanMib.toFixed(0), ...Object.fromEntries(shares) };
}
