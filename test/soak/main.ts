/** `make soak`: random faults for half an hour, orders all the while, judged. Exit codes: 0 nothing wrong, 1 something is, 2 it cannot be told, 3 wrong use. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Experiment } from "@ordermesh/chaos/backend";
import { pickTargets } from "@ordermesh/chaos/pick-targets";
import { MIN_DURATION_SECONDS, withDuration } from "@ordermesh/chaos/schedule";
import { COMPONENT_LABEL } from "@ordermesh/chaos/service-of";
import { readCatalogue } from "@ordermesh/chaos-local/catalogue";
import { ChaosSystem } from "@ordermesh/chaos-local/chaos-system";
import { judgedLoad } from "@ordermesh/chaos-local/judged-load";
import { canBeScheduled, runStep } from "@ordermesh/chaos-local/run-schedule";
import type { Finding } from "@ordermesh/judge/finding";
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
/**
 * Before memory is looked at, every fault comes to every process, for as long as any comes later and under so many times the orders: what
 * comes for the first time is compiled, and a backlog that is larger than those before it takes pages that V8 keeps.
 */
const WARM_UP_TIMES = 2;
/** So often: V8 still compiles at the second time what was called too seldom at the first. */
const WARM_UP_ROUNDS = 2;
/** So many are tried for one that takes a process which none has taken. */
const MAX_SEEDS = 32;
/** What is left out of each life, in minutes, for each column of the table; the first decides, the others tell how long V8 takes room. */
const WARM_UPS = [3, 10, 15];
/** Growth of a process that is asked for, of its memory in ten minutes. */
const MAX_GROWTH = 0.01;
const WITHOUT_KILLS = "without-kills";
const HELP = `Usage: make soak ARGS="[options]"

Places orders on a system of its own without a pause, with one fault of k8s/chaos after another, waits until nothing is on its way, and
judges all of it at once. Before it, every fault comes to every process ${WARM_UP_ROUNDS} times, for ${MAX_DURATION_SECONDS} s each and under ${WARM_UP_TIMES} times as many orders: some
25 minutes. Tells how the memory of each process went, without the first ${WARM_UPS.join(", ")} minutes of each of its lives; of lives that are too
short for it nothing is said. A growth is the slope of a line by least squares; the median of the slopes between any two looks, and "on top",
the MiB between the first and the last, are told beside it.

  --minutes N      for how long (default 30)
  --rate N         orders a second (default 20)
  --seed N         decides faults and orders (default 1)
  --${WITHOUT_KILLS}  no fault that ends a process of a service, so that all live long enough
Exit codes: 0 nothing wrong, 1 an invariant is broken or memory grows by more than ${MAX_GROWTH * 100} % in ten minutes, 2 neither, but an
invariant could not be looked at or a process lived too short to tell, 3 wrong use.
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
  const { rate, seed } = options;
  const usable = readCatalogue([join(ROOT, "k8s/chaos")])
    .filter((experiment) => canBeScheduled(soaked, experiment))
    .filter((experiment) => !(options.flags.includes(WITHOUT_KILLS) && endsService(experiment)));
  say(`Every fault comes to every process, ${WARM_UP_ROUNDS} times, under ${rate * WARM_UP_TIMES} orders/s`);
  const warmUp = await judgedLoad(soaked.ports, { ratePerSecond: rate * WARM_UP_TIMES, seed }, () =>
    everyFault(soaked, usable),
  );
  say(`\n${options.minutes} minutes of one fault after another, under ${rate} orders/s`);
  const samples: Sample[] = [];
  const load = await judgedLoad(soaked.ports, { ratePerSecond: rate, seed }, async () => {
    const sampling = setInterval(() => void sample(soaked.system, samples), SAMPLE_MS);
    return await disturb(soaked, usable, options).finally(() => clearInterval(sampling));
  });
  const growths = tellMemory(samples);
  const untold = growths.filter(({ perTenMinutes }) => Number.isNaN(perTenMinutes));
  const growing = growths.filter(({ perTenMinutes }) => perTenMinutes > MAX_GROWTH);
  const findings = tellOrders([warmUp, load]);
  const placed = new Set(load.history.filter(({ op }) => op === "place").map(({ key }) => key)).size;
  const not = (held: Finding["held"]) => findings.filter((finding) => finding.held === held).length;
  say(
    `\n${load.result} faults in ${options.minutes} minutes at ${rate} orders/s, ${placed} orders; ` +
      `${not("False")} invariants broken, ${not("Unknown")} could not be looked at; ` +
      `${growing.length} of ${growths.length} processes grow, ${untold.length} lived too short to tell`,
  );
  const file = join(ROOT, ".cache/runs/soak/result.json");
  const result = { ...options, faults: load.result, placed, findings, growths, samples };
  writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
  if (not("False") + growing.length > 0) return 1;
  return not("Unknown") + untold.length > 0 ? 2 : 0;
}

function tellMemory(samples: readonly Sample[]): Growth[] {
  const [growths = [], ...later] = WARM_UPS.map((minutes) => growthOf(samples, minutes * 60_000));
  const rows = growths.map((growth, index) => rowOf(growth, [growth, ...later.map((column) => column[index])]));
  say(`\nMemory, and how much it grows in ten minutes after so many of a life:\n${tableOf(rows)}`);
  return growths;
}

/** What the judge said of each load. */
function tellOrders(loads: readonly { findings: readonly Finding[] }[]): Finding[] {
  const findings = loads.flatMap((load) => load.findings);
  const rows = [...Map.groupBy(findings, ({ name }) => name)].map(([invariant, ofOne]) => ({
    invariant,
    held: ofOne.map(({ held }) => held).join(", "),
    examined: ofOne.map(({ examined }) => examined).join(", "),
  }));
  say(`\nInvariants, of the orders of the warm-up and of those after it:\n${tableOf(rows)}`);
  for (const example of findings.flatMap(({ examples }) => examples)) say(`  ${example}`);
  return findings;
}

async function everyFault(soaked: ChaosSystem, usable: readonly Experiment[]): Promise<void> {
  const beganMs = performance.now();
  for (const experiment of Array.from({ length: WARM_UP_ROUNDS }, () => usable).flat())
    for (const targetSeed of await seedsFor(soaked, experiment)) {
      if (abort.signal.aborted) return;
      await inflict(soaked, withDuration(experiment, MAX_DURATION_SECONDS, targetSeed), beganMs);
    }
}

/** Seeds with which all processes that the experiment may take are taken. */
async function seedsFor({ ports }: ChaosSystem, { spec: { target } }: Experiment): Promise<number[]> {
  const candidates = await ports.backend.find(target.selector.matchLabels);
  const seeds = new Map<string, number>();
  for (let seed = 1; seed <= MAX_SEEDS && seeds.size < candidates.length; seed += 1) {
    const picked = pickTargets(candidates, target, seeded(seed));
    if (picked.kind === "picked") for (const { name } of picked.targets) if (!seeds.has(name)) seeds.set(name, seed);
  }
  return [...new Set(seeds.values())];
}

/** One fault after another, in an order that the seed decides. Resolves with how many there were. */
async function disturb(
  soaked: ChaosSystem,
  usable: readonly Experiment[],
  { minutes, seed }: LongLoad,
): Promise<number> {
  const { signal } = abort;
  const random = seeded(seed);
  const upTo = (most: number) => Math.floor(random() * (most + 1));
  const beganMs = performance.now();
  const endsMs = beganMs + minutes * 60_000;
  let faults = 0;
  while (performance.now() < endsMs && !signal.aborted) {
    const chosen = usable[upTo(usable.length - 1)] as Experiment;
    const seconds = MIN_DURATION_SECONDS + upTo(MAX_DURATION_SECONDS - MIN_DURATION_SECONDS);
    await inflict(soaked, withDuration(chosen, seconds, upTo(1_000_000)), beganMs);
    faults += 1;
    await sleep(upTo(MAX_GAP_MS), undefined, { signal }).catch(() => undefined);
  }
  return faults;
}

async function inflict({ ports }: ChaosSystem, experiment: Experiment, beganMs: number): Promise<void> {
  const atS = ((performance.now() - beganMs) / 1_000).toFixed(0);
  const seconds = experiment.spec.durationSeconds.toString();
  const tell = (line: string) => say(`${atS.padStart(5)} s  ${seconds.padStart(2)} s of ${line}`);
  await runStep(ports, { experiment, atSeconds: 0 }, { startMs: performance.now(), say: tell, signal: abort.signal });
}

function endsService({ spec: { action, target } }: Experiment): boolean {
  if (action.type === "CrashPoint") return ["kill", "exhaust"].includes(action.crashPoint.effect);
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

/** `columns`: what is left after each warm-up in turn. */
function rowOf(
  { name, lives, minutes, meanMib, addedMib, medianPerTenMinutes }: Growth,
  columns: readonly (Growth | undefined)[],
) {
  const told = (share = Number.NaN) => (Number.isNaN(share) ? "too short" : `${(share * 100).toFixed(2)} %`);
  const shares = columns.map((growth, index) => [`after ${WARM_UPS[index]} min`, told(growth?.perTenMinutes)]);
  const mib = { MiB: meanMib.toFixed(0), "on top": addedMib.toFixed(1) };
  return {
    process: name,
    lives,
    minutes: minutes.toFixed(1),
    ...mib,
    ...Object.fromEntries(shares),
    median: told(medianPerTenMinutes),
  };
}
