/** `make demo`: orders under kills, judged. Exit codes: 0 Passed, 1 Failed, 2 Inconclusive, 3 wrong use. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { exitCodeOf, renderVerdict } from "@ordermesh/judge/report";
import { startFreshSystem } from "@ordermesh/local/fresh-system";
import { readState } from "@ordermesh/local/preflight";
import { progressTo } from "@ordermesh/local/progress";
import { ROOT, type System, type SystemState } from "@ordermesh/local/system";
import { seeded } from "@ordermesh/mesh/seeded";
import { readCommandLine } from "@ordermesh/runtime/command-line";
import { Counters } from "../harness/counters.ts";
import { CALL_FAULTS, putFaults } from "../harness/faults.ts";
import { BUGS, bugOf } from "../oracle/bugs.ts";
import { runDemo, type Target } from "./demo.ts";
import { ALL_KILLS, planKills } from "./kill-plan.ts";

type DemoTarget = Target & { readonly mesh: Pick<SystemState, "etcd" | "adminUrls"> };

const FAULTS_LIFE_MS = 600_000;
/** As many renewals as a certificate of this run outlives. */
const RENEWALS_PER_LIFETIME = 3;

const HELP = `Usage: make demo ARGS="[options]"

Starts the system, places orders at a steady rate (some are declined, some out of stock), kills every service from outside and
at its worst moment, and Kafka and etcd once each, waits until nothing is on its way, and judges.

  --orders N    how many orders (default 1000)
  --rate N      orders a second (default 25)
  --seed N      decides orders and kills (default 1)
  --kills N     how many processes are killed (default ${ALL_KILLS}, each once)
  --join        load and judge the system that \`make start\` runs; nothing is killed
  --faults      one call of twenty fails and one waits for 100 ms, by fault rules in etcd
  --renew S     renew all certificates every S seconds (default 1200)
  --bug NAME    plant a bug that must be found: ${BUGS.map(({ name }) => name).join(", ")}
  --help        this text

Exit codes: 0 Passed, 1 Failed, 2 Inconclusive, 3 wrong use. The record is kept under .cache/runs/demo/.
`;

const { values } = readCommandLine(
  {
    options: {
      orders: { type: "string", default: "1000" },
      rate: { type: "string", default: "25" },
      seed: { type: "string", default: "1" },
      kills: { type: "string", default: String(ALL_KILLS) },
      join: { type: "boolean", default: false },
      faults: { type: "boolean", default: false },
      renew: { type: "string" },
      bug: { type: "string" },
      help: { type: "boolean", default: false },
    },
  },
  HELP,
);
const [orders, rate, seed] = [Number(values.orders), Number(values.rate), Number(values.seed)];
const renewS = values.renew === undefined ? undefined : Number(values.renew);
const isWrong =
  (renewS !== undefined && !(renewS >= 5)) ||
  !(orders >= 1) ||
  !(rate > 0) ||
  !(Number(values.kills) >= 0) ||
  !Number.isInteger(seed) ||
  (values.bug !== undefined && bugOf(values.bug) === undefined);
if (values.help) process.stdout.write(HELP);
else if (isWrong) {
  process.stderr.write(HELP);
  process.exitCode = 3;
} else process.exitCode = await demo();

async function demo(): Promise<number> {
  const { isTTY } = process.stdout;
  const say = (line: string) => process.stdout.write(`${isTTY ? "\r\u001b[K" : ""}${line}\n`);
  const progress = (line: string) =>
    void (isTTY && process.stdout.write(`\r\u001b[K${line.slice(0, process.stdout.columns)}`));
  const name = values.bug === undefined ? "demo" : `demo-${values.bug}`;
  const dir = join(ROOT, ".cache", "runs", name);
  mkdirSync(dir, { recursive: true });
  const target = values.join ? joinRunning() : await startOwn(name);
  if (target === undefined) {
    process.stderr.write("No system is running here: `make start` first, or leave --join out.\n");
    return 3;
  }
  say(
    `Seed ${seed}: ${orders} orders at ${rate}/s at ${target.url}${values.bug === undefined ? "" : `, with the bug ${values.bug}`}.`,
  );
  try {
    if (values.faults) await putFaults(target.mesh.etcd, CALL_FAULTS, FAULTS_LIFE_MS);
    const evidence = new Counters(Object.values(target.mesh.adminUrls), ({ name, labels }) => isEvidence(name, labels));
    const kills = planKills((orders / rate) * 1_000, Number(values.kills), seeded(seed));
    const { verdict, isAtRest } = await runDemo(target, { orders, rate, seed, kills, dir, say, progress });
    const counted = await evidence.stop();
    const missing = missingEvidence(counted);
    for (const [series, count] of counted) say(`${count} × ${series}`);
    say(missing.join("\n"));
    process.stdout.write(renderVerdict(verdict, isTTY));
    return (isAtRest && missing.length === 0) || exitCodeOf(verdict) !== 0 ? exitCodeOf(verdict) : 2;
  } finally {
    await target.system?.stop();
  }
}

async function startOwn(name: string): Promise<DemoTarget> {
  const { entries = {}, envOf = {} } = bugOf(values.bug ?? "") ?? {};
  const certificates =
    renewS === undefined
      ? {}
      : { certificates: { lifetimeMs: renewS * RENEWALS_PER_LIFETIME * 1_000, renewEveryMs: renewS * 1_000 } };
  const system = await startFreshSystem(name, process.env, {
    progress: progressTo(process.stdout),
    entries,
    envOf,
    ...certificates,
  });
  process.stdout.write(`Logs: ${system.logDir}\n`);
  return targetOf(system.state, system);
}

function joinRunning(): DemoTarget | undefined {
  const state = readState(join(ROOT, ".cache", "local", "system.json"));
  return state === undefined ? undefined : targetOf(state, undefined);
}

function targetOf({ url, etcd, databases, adminUrls }: SystemState, system: System | undefined): DemoTarget {
  return { url, databases, system, mesh: { etcd, adminUrls } };
}

/** What shows that the options of this run have had an effect. */
function isEvidence(name: string, labels: string): boolean {
  if (name === "mesh_identity_reloads_total") return values.renew !== undefined && labels.includes("applied");
  return name === "mesh_faults_injected_total";
}

/** A sentence for each option that has had none: such a run proves nothing about it. */
function missingEvidence(counted: ReadonlyMap<string, number>): string[] {
  const has = (name: string) => [...counted.keys()].some((series) => series.startsWith(name));
  return [
    ...(values.faults && !has("mesh_faults_injected_total") ? ["No call met a fault: Inconclusive."] : []),
    ...(values.renew !== undefined && !has("mesh_identity_reloads_total")
      ? ["No certificate was renewed: Inconclusive."]
      : []),
  ];
}
