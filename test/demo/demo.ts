/** One demo run: load, kills, rest, verdict. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseHistory } from "@ordermesh/judge/history";
import { judge, type Verdict } from "@ordermesh/judge/invariants";
import { quiesce } from "@ordermesh/judge/quiesce";
import type { System, SystemState } from "@ordermesh/local/system";
import { actOnce } from "../harness/failpoints.ts";
import { judgeSystem } from "../harness/judge-system.ts";
import { LoadProcess, type LoadReport } from "../harness/load-process.ts";
import type { Kill } from "./kill-plan.ts";

const REST_TIMEOUT_MS = 120_000;
const POINT_TIMEOUT_MS = 30_000;

export type DemoOptions = {
  readonly orders: number;
  readonly rate: number;
  readonly seed: number;
  readonly kills: readonly Kill[];
  readonly dir: string;
  readonly say: (line: string) => void;
  /** Called often with what is going on. */
  readonly progress: (line: string) => void;
};

export type DemoResult = {
  readonly verdict: Verdict;
  readonly load: LoadReport;
  readonly restMs: number;
  readonly kills: readonly string[];
  readonly isAtRest: boolean;
};

/** A system of our own, which can be killed, or one that somebody else started, which is only loaded and judged. */
export type Target = Pick<SystemState, "url" | "databases"> & {
  readonly system: System | undefined;
  /** Where the registry and the instances are, if they can be reached from here. */
  readonly mesh: Pick<SystemState, "etcd" | "adminUrls"> | undefined;
};

export async function runDemo({ url, databases, system, mesh }: Target, options: DemoOptions): Promise<DemoResult> {
  const { orders, rate, seed, dir, say, progress } = options;
  const history = join(dir, "history.jsonl");
  const load = new LoadProcess({ url, orders, rate, seed, history, tag: `demo-${Date.now()}` });
  const timer = setInterval(() => progress(describe(load.latest)), 1_000);
  const [report, kills] = await Promise.all([load.done(), system === undefined ? [] : killAll(system, options)]);
  clearInterval(timer);
  say(describe(report));
  await system?.untilReady();
  const { world, isAtRest, open, waitedMs } = await quiesce(databases, REST_TIMEOUT_MS, (left) =>
    progress(left.join(", ")),
  );
  say(
    isAtRest
      ? `At rest after ${(waitedMs / 1_000).toFixed(1)} s.`
      : `Not at rest after ${waitedMs / 1_000} s: ${open.join(", ")}.`,
  );
  const record = parseHistory(readFileSync(history, "utf8"));
  const verdict = mesh === undefined ? judge(record, world) : await judgeSystem(mesh, record, world);
  const result = { verdict, load: report, restMs: Math.round(waitedMs), kills, isAtRest };
  writeFileSync(join(dir, "result.json"), `${JSON.stringify(result, null, 2)}\n`);
  return result;
}

/** Each process's kills one after another, those of different processes side by side. Resolves with a line for each kill. */
async function killAll(system: System, { kills, say }: DemoOptions): Promise<string[]> {
  const startedMs = performance.now();
  const lines: string[] = [];
  const killInTurn = async (own: readonly Kill[]) => {
    for (const kill of own) {
      await sleep(Math.max(0, kill.atMs - (performance.now() - startedMs)));
      const what = await make(kill, system);
      const line = `${((performance.now() - startedMs) / 1_000).toFixed(1).padStart(6)} s  ${what}`;
      say(line);
      lines.push(line);
    }
  };
  await Promise.all([...Map.groupBy(kills, ({ process }) => process).values()].map(killInTurn));
  return lines;
}

async function make(kill: Kill, system: System): Promise<string> {
  const process = system.process(kill.process);
  switch (kill.kind) {
    case "kill":
      process.kill();
      return `${kill.process} killed`;
    case "point":
      return await actOnce(system, kill.process, {
        point: kill.point,
        action: "kill",
        timeoutMs: POINT_TIMEOUT_MS,
      }).then(
        () => `${kill.process} killed at ${kill.point}`,
        () => `${kill.process} did not come to ${kill.point}`,
      );
    case "part":
      process.kill();
      await sleep(kill.awayMs);
      process.start();
      return `${kill.process} killed, and started again ${kill.awayMs / 1_000} s later`;
  }
}

function describe(report: LoadReport | undefined): string {
  if (report === undefined) return "starting the load";
  const {
    begun,
    planned,
    confirmed,
    cancelled,
    pending,
    inFlight,
    refused,
    unknown,
    retries,
    unanswered,
    p50Ms,
    p99Ms,
  } = report;
  return `${begun}/${planned} placed: ${confirmed} confirmed, ${cancelled} cancelled, ${pending} pending, ${refused} refused, ${unknown} unknown, ${inFlight} in flight, ${retries} asked again, ${unanswered} later calls unanswered; p50 ${p50Ms} ms, p99 ${p99Ms} ms`;
}
