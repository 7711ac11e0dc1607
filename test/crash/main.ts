/** `make crash`: the crash matrix. Exit codes: 0 every point reached and every case green, 1 not so, 2 wrong use. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { toJunit } from "@ordermesh/judge/junit";
import { progressTo } from "@ordermesh/local/progress";
import { ROOT } from "@ordermesh/local/system";
import { seeded } from "@ordermesh/mesh/seeded";
import { readCommandLine } from "@ordermesh/runtime/command-line";
import { Customer } from "../harness/customer.ts";
import { CASES, type Case, nameOf } from "./matrix.ts";
import { type CaseResult, runCase } from "./run-case.ts";
import { startCrashSystem } from "./system.ts";

const HELP = `Usage: make crash ARGS="[options]"

Makes every named crash point die, fail and hang, one at a time, under orders that pass it, and judges after each.

  --only TEXT     only cases whose name contains TEXT
  --sample N      only N cases, chosen by --seed (default 1)
  --keep-going    go on after a failed case
  --list          only list the cases
  --help          this text

The results are kept under .cache/runs/crash/ (results.json, junit.xml, logs/).
`;

const { values } = readCommandLine(
  {
    options: {
      only: { type: "string", default: "" },
      sample: { type: "string" },
      seed: { type: "string", default: "1" },
      "keep-going": { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  },
  HELP,
);
const matching = CASES.filter((testCase) => nameOf(testCase).includes(values.only));
const chosen = values.sample === undefined ? matching : sample(matching, Number(values.sample), Number(values.seed));
if (values.help) process.stdout.write(HELP);
else if (values.list) process.stdout.write(`${chosen.map(nameOf).join("\n")}\n`);
else if (chosen.length === 0) {
  process.stderr.write(`no case matches\n\n${HELP}`);
  process.exitCode = 2;
} else process.exitCode = await run(chosen);

async function run(cases: readonly Case[]): Promise<number> {
  const startedMs = performance.now();
  const system = await startCrashSystem("crash", progressTo(process.stdout));
  const customer = new Customer(system.url);
  const results: CaseResult[] = [];
  try {
    for (const [index, testCase] of cases.entries()) {
      const result = await runCase(system, customer, testCase, index);
      results.push(result);
      const mark = result.problem === undefined ? "ok    " : "FAILED";
      process.stdout.write(
        `${String(index + 1).padStart(4)}/${cases.length} ${mark} ${result.seconds.toFixed(1).padStart(5)} s  ${result.name}\n`,
      );
      if (result.problem === undefined) continue;
      process.stdout.write(`            ${result.problem}\n            logs: ${system.logDir}\n`);
      if (!values["keep-going"]) break;
    }
  } finally {
    await system.stop();
  }
  report(results, cases.length, (performance.now() - startedMs) / 1_000);
  return results.length === cases.length && results.every(({ problem }) => problem === undefined) ? 0 : 1;
}

function report(results: readonly CaseResult[], planned: number, seconds: number): void {
  const dir = join(ROOT, ".cache", "runs", "crash");
  const failed = results.filter(({ problem }) => problem !== undefined);
  const points = new Set(results.filter(({ problem }) => problem === undefined).map(({ name }) => name.split(" ")[0]));
  writeFileSync(join(dir, "results.json"), `${JSON.stringify(results, null, 2)}\n`);
  const cases = results.map(({ problem, ...rest }) => ({
    ...rest,
    problem: problem === undefined ? undefined : ({ kind: "failure", message: problem } as const),
  }));
  writeFileSync(join(dir, "junit.xml"), toJunit([{ name: "crash", cases }]));
  process.stdout.write(
    `\n${points.size} points reached and green; ${results.length} of ${planned} cases in ${seconds.toFixed(0)} s\n`,
  );
  process.stdout.write(
    `${results.length - failed.length} passed, ${failed.length + planned - results.length} failed\n`,
  );
}

function sample(cases: readonly Case[], count: number, seed: number): Case[] {
  const random = seeded(seed);
  return cases
    .map((testCase) => ({ testCase, order: random() }))
    .sort((a, b) => a.order - b.order)
    .slice(0, count)
    .map(({ testCase }) => testCase);
}
