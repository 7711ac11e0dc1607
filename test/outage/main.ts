/** `make outage`: a part is killed under load and comes back after a while. Exit codes: 0 as promised, 1 not so, 2 wrong use. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseHistory } from "@ordermesh/judge/history";
import { quiesce } from "@ordermesh/judge/quiesce";
import { renderVerdict } from "@ordermesh/judge/report";
import { startFreshSystem } from "@ordermesh/local/fresh-system";
import { progressTo } from "@ordermesh/local/progress";
import type { System } from "@ordermesh/local/system";
import { ROOT } from "@ordermesh/local/system";
import { readCommandLine } from "@ordermesh/runtime/command-line";
import { judgeSystem } from "../harness/judge-system.ts";
import { LoadProcess } from "../harness/load-process.ts";

const HELP = `Usage: make outage ARGS="--part etcd|kafka|postgres [--seconds 120] [--rate 10]"

Kills the part under load, keeps it away, starts it again, waits until everything is out, and judges.
Promised: without etcd or Kafka every order is accepted and none fails; 30 s after Kafka is back every event is out.
`;
const WARM_MS = 5_000;
const COOL_MS = 10_000;
const DRAIN_LIMIT_MS = 30_000;
const REST_TIMEOUT_MS = 120_000;

const { values } = readCommandLine(
  {
    options: {
      part: { type: "string" },
      seconds: { type: "string", default: "120" },
      rate: { type: "string", default: "10" },
      help: { type: "boolean" },
    },
  },
  HELP,
  2,
);
const [seconds, rate] = [Number(values.seconds), Number(values.rate)];
const processName = { etcd: "etcd-1", kafka: "kafka-1", postgres: "postgres" }[values.part ?? ""];
if (values.help) process.stdout.write(HELP);
else if (processName === undefined || !(seconds >= 1) || !(rate > 0)) {
  process.stderr.write(HELP);
  process.exitCode = 2;
} else {
  const name = `outage-${values.part}`;
  const system = await startFreshSystem(name, process.env, { progress: progressTo(process.stdout) });
  try {
    process.exitCode = await outage(system, processName, join(ROOT, ".cache", "runs", name, "history.jsonl"));
  } finally {
    await system.stop();
  }
}

async function outage(system: System, part: string, history: string): Promise<number> {
  const awayMs = seconds * 1_000;
  const orders = Math.round(((WARM_MS + awayMs + COOL_MS) / 1_000) * rate);
  const load = new LoadProcess({ url: system.url, orders, rate, seed: 1, history, tag: "outage", isPlain: true });
  await sleep(WARM_MS);
  const before = load.latest;
  system.process(part).kill();
  process.stdout.write(`${part} killed under ${rate} orders/s, back in ${seconds} s\n`);
  await sleep(awayMs);
  const during = load.latest;
  system.process(part).start();
  const backMs = performance.now();
  let drainedMs: number | undefined;

  const measuring = untilDrained(system).then(() => {
    drainedMs = performance.now() - backMs;
  });
  const [summary] = await Promise.all([load.done(), measuring]);
  const { world, isAtRest, open } = await quiesce(system.state.databases, REST_TIMEOUT_MS, () => undefined);
  const verdict = await judgeSystem(system.state, parseHistory(readFileSync(history, "utf8")), world);
  const away = (during?.acknowledged ?? 0) - (before?.acknowledged ?? 0);
  const drained = (drainedMs ?? Number.POSITIVE_INFINITY) / 1_000;
  process.stdout.write(
    `${away} orders accepted while ${part} was away; ${summary.refused} refused, ${summary.unknown} unanswered, ${summary.retries} asked again\n`,
  );
  process.stdout.write(
    `${summary.cancelled} cancelled, ${summary.pending} answered while pending; p50 ${summary.p50Ms} ms, p99 ${summary.p99Ms} ms\n`,
  );
  process.stdout.write(`the backlog of events was out ${drained.toFixed(1)} s after ${part} was back\n\n`);
  process.stdout.write(renderVerdict(verdict, process.stdout.isTTY));
  if (!isAtRest) process.stdout.write(`not at rest: ${open.join(", ")}\n`);
  const isAsPromised =
    part === "postgres" || (summary.retries === 0 && summary.cancelled === 0 && drained * 1_000 <= DRAIN_LIMIT_MS);
  return verdict.verdict === "Passed" && isAtRest && isAsPromised ? 0 : 1;
}

/** Resolves when no process has an event waiting for longer than a moment. */
async function untilDrained(system: System): Promise<void> {
  for (;;) {
    const ages = await Promise.all(["order-1", "shipping-1"].map((name) => oldestAgeS(system.adminUrl(name))));
    if (ages.every((age) => age < 2)) return;
    await sleep(250);
  }
}

async function oldestAgeS(adminUrl: string): Promise<number> {
  try {
    const text = await (await fetch(`${adminUrl}/metrics`, { signal: AbortSignal.timeout(2_000) })).text();
    return Number(/^outbox_oldest_age_seconds (\S+)/m.exec(text)?.[1] ?? Number.POSITIVE_INFINITY);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
