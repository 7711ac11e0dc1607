/** `make rolling`: every service restarted in turn under load; no call may fail. Exit codes: 0 as promised, 1 not so. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Sample } from "@ordermesh/chaos/admin-ports";
import { startFreshSystem } from "@ordermesh/local/fresh-system";
import { progressTo } from "@ordermesh/local/progress";
import { ROOT, type System } from "@ordermesh/local/system";
import { readCommandLine } from "@ordermesh/runtime/command-line";
import { Counters } from "../harness/counters.ts";
import { LoadProcess, type LoadReport } from "../harness/load-process.ts";

const HELP = `Usage: make rolling ARGS="[--rounds 3] [--rate 20] [--seed 1]"

Runs two processes of every service behind the shop, places orders at a steady rate, and restarts each process in turn, three
rounds. No order may be refused, asked again or left open, and no call between services may fail. Then the shop itself, of which
this machine has one, is restarted as often: its customers ask again and no order is lost.
`;
const BEHIND_THE_SHOP = ["inventory", "payment", "order", "shipping", "notification"];
const FAILED =
  /rpc_status_code="(UNAVAILABLE|DEADLINE_EXCEEDED|INTERNAL|UNKNOWN|RESOURCE_EXHAUSTED|PERMISSION_DENIED)"/;
/** More than the restarts take; the load is cut when they are done. */
const SECONDS_PER_RESTART = 6;

const { values } = readCommandLine(
  {
    options: {
      rounds: { type: "string", default: "3" },
      rate: { type: "string", default: "20" },
      seed: { type: "string", default: "1" },
      help: { type: "boolean" },
    },
  },
  HELP,
);
const [rounds, rate, seed] = [Number(values.rounds), Number(values.rate), Number(values.seed)];
if (values.help) process.stdout.write(HELP);
else process.exitCode = await roll();

async function roll(): Promise<number> {
  const replicas = Object.fromEntries(BEHIND_THE_SHOP.map((name) => [name, 2]));
  const system = await startFreshSystem("rolling", process.env, { replicas, progress: progressTo(process.stdout) });
  try {
    const behind = BEHIND_THE_SHOP.flatMap((name) => [`${name}-1`, `${name}-2`]);
    const isKept = await restartUnderLoad(system, behind, "behind the shop");
    const { report } = await underLoad(system, ["storefront-1"], "shop");
    process.stdout.write(`the shop: ${describe(report)}\n`);
    return isKept && report.refused + report.unknown === 0 ? 0 : 1;
  } finally {
    await system.stop();
  }
}

async function restartUnderLoad(system: System, names: readonly string[], what: string): Promise<boolean> {
  const isFailedCall = ({ name, labels }: Sample) =>
    name === "rpc_client_call_duration_seconds_count" && FAILED.test(labels);
  const counters = new Counters(Object.values(system.state.adminUrls), isFailedCall);
  const { report, restarts } = await underLoad(system, names, "behind", () => counters.read());
  const failed = await counters.stop();
  const failedCalls = [...failed.values()].reduce((sum, count) => sum + count, 0);
  process.stdout.write(
    `${what}: ${restarts} restarts, ${describe(report)}; ${failedCalls} calls between services failed\n`,
  );
  for (const [series, count] of failed) process.stdout.write(`  ${count} × ${series}\n`);
  return report.refused + report.unknown + report.retries + failedCalls === 0;
}

/** Places orders while each process is stopped as a kubelet stops it, started, and waited for. */
async function underLoad(
  system: System,
  names: readonly string[],
  tag: string,
  beforeEach: () => Promise<void> = async () => undefined,
): Promise<{ report: LoadReport; restarts: number }> {
  const dir = join(ROOT, ".cache", "runs", "rolling");
  mkdirSync(dir, { recursive: true });
  const orders = names.length * rounds * SECONDS_PER_RESTART * rate;
  const history = join(dir, `${tag}.jsonl`);
  const load = new LoadProcess({
    url: system.url,
    orders,
    rate,
    seed,
    history,
    tag: `${tag}-${Date.now()}`,
    isPlain: true,
  });
  let restarts = 0;
  for (let round = 1; round <= rounds; round += 1)
    for (const name of names) {
      await beforeEach();
      const startedMs = performance.now();
      await system.process(name).restart();
      await system.untilReady();
      restarts += 1;
      process.stdout.write(
        `round ${round}: ${name} is back after ${((performance.now() - startedMs) / 1_000).toFixed(1)} s\n`,
      );
    }
  load.finish();
  return { report: await load.done(), restarts };
}

function describe({ acknowledged, confirmed, refused, unknown, retries, p50Ms, p99Ms }: LoadReport): string {
  return `${acknowledged} orders acknowledged (${confirmed} confirmed at once), ${refused} refused, ${unknown} unanswered, ${retries} asked again, p50 ${p50Ms} ms, p99 ${p99Ms} ms`;
}
