/** `make oracle`: is the oracle right? Exit codes: 0 it is, 1 it is not, 2 it could not tell, 3 wrong use. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Experiment } from "@ordermesh/chaos/backend";
import { readCatalogue } from "@ordermesh/chaos-local/catalogue";
import { ChaosSystem } from "@ordermesh/chaos-local/chaos-system";
import { type Result, runAll } from "@ordermesh/chaos-local/run-all";
import { toJunit } from "@ordermesh/judge/junit";
import { progressTo } from "@ordermesh/local/progress";
import { ROOT } from "@ordermesh/local/system";
import { readCommandLine } from "@ordermesh/runtime/command-line";
import { type Answer, isRight, namedIn, summaryOf, toLine, toSuites } from "./answers.ts";
import { BUGS, type Bug, bugOf } from "./bugs.ts";

const HELP = `Usage: make oracle ARGS="[options]"

Plants each bug into a system of its own and runs the experiment that must find it: the verdict must be Failed and name what the
bug breaks. Then runs the same experiments on a clean system: none may be Failed.

  --bugs a,b   only these of ${BUGS.map(({ name }) => name).join(", ")};
               none plants nothing
  --clean N    clean runs (default 12): one of each experiment in turn, each with a seed of its own
  --seed N     of the first run of each experiment (default 1)
  --help       this text

Exit codes: 0 every bug found and every clean run Passed, 1 a bug missed or a clean system blamed, 2 a clean run Inconclusive or a system that
does not start, 3 wrong use. The results are kept under .cache/runs/oracle/ (results.json, junit.xml), logs beside it.
`;
const MAX_CLEAN = 1_000;

const { values } = readCommandLine(
  {
    options: {
      bugs: { type: "string", default: BUGS.map(({ name }) => name).join(",") },
      clean: { type: "string", default: "12" },
      seed: { type: "string", default: "1" },
      help: { type: "boolean", default: false },
    },
  },
  HELP,
);
const wanted = values.bugs === "none" ? [] : values.bugs.split(",");
const [clean, seed] = [Number(values.clean), Number(values.seed)];
const problem = whatIsWrong();
if (values.help) process.stdout.write(HELP);
else if (problem !== undefined) {
  process.stderr.write(`${problem}\n\n${HELP}`);
  process.exitCode = 3;
} else
  process.exitCode = await ask(wanted.flatMap((name) => bugOf(name) ?? [])).catch((error: unknown) => {
    process.stderr.write(`The oracle could not be asked further: ${error instanceof Error ? error.message : error}\n`);
    return 2;
  });

function whatIsWrong(): string | undefined {
  const unknown = wanted.find((name) => bugOf(name) === undefined);
  if (unknown !== undefined) return `--bugs: there is no bug ${unknown}`;
  if (!Number.isInteger(clean) || clean < 0 || clean > MAX_CLEAN)
    return `--clean must be a number from 0 to ${MAX_CLEAN}`;
  return Number.isInteger(seed) && seed >= 0 ? undefined : "--seed must be a whole number from 0";
}

async function ask(bugs: readonly Bug[]): Promise<number> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  const answers: Answer[] = [];
  const keep = (answer: Answer) => {
    answers.push(answer);
    process.stdout.write(`${toLine(answer)}\n`);
    store(answers); // After each: who stops it keeps what was found out.
  };
  for (const bug of bugs) {
    if (stop.signal.aborted) break;
    const results = await run([experimentOf(bug.experiment, seed)], stop.signal, bug);
    for (const result of results) keep(toAnswer(result, bug));
  }
  const names = [...new Set(BUGS.map(({ experiment }) => experiment))];
  const runs = Array.from({ length: clean }, (_, index) =>
    experimentOf(names[index % names.length] ?? "", seed + Math.floor(index / names.length)),
  );
  if (!stop.signal.aborted) await run(runs, stop.signal, undefined, (result) => keep(toAnswer(result, undefined)));
  process.stdout.write(`\n${answers.map(toLine).join("\n")}\n\n${summaryOf(answers)}\n`);
  const isWhole = answers.length === bugs.length + clean;
  if (answers.some((answer) => isRight(answer) === "wrong")) return 1;
  return isWhole && answers.every((answer) => isRight(answer) === "right") ? 0 : 2;
}

/** A system with the bug planted, or clean ones, each until it is blamed. */
function run(
  experiments: readonly Experiment[],
  signal: AbortSignal,
  bug: Bug | undefined,
  onResult: (result: Result) => void = () => undefined,
): Promise<Result[]> {
  const { entries = {}, envOf = {}, settleMs = 0 } = bug ?? {};
  const name = bug === undefined ? "oracle-clean" : `oracle-${bug.name}`;
  const out = process.stdout;
  const progress = progressTo(out);
  const start = async () => {
    const system = await ChaosSystem.start({ name, env: process.env, entries, envOf, progress, signal });
    await sleep(settleMs, undefined, { signal }).catch(() => undefined);
    return system;
  };
  if (bug !== undefined) out.write(`\n${bug.name}: ${bug.what}\n`);
  return runAll(experiments, { start, signal, say: (line) => void out.write(`  ${line}\n`), onResult });
}

function experimentOf(name: string, ownSeed: number): Experiment {
  const [experiment] = readCatalogue([join(ROOT, "k8s/chaos", `${name}.yaml`)]);
  if (experiment === undefined) throw new Error(`there is no experiment ${name}`);
  return { ...experiment, spec: { ...experiment.spec, seed: ownSeed } };
}

function toAnswer({ experiment: { name, spec }, status, seconds }: Result, bug: Bug | undefined): Answer {
  const { verdict, reason, message } = status;
  const named = namedIn({ spec, status });
  return { bug, experiment: name, seed: spec.seed, verdict, reason, message, named, seconds };
}

function store(answers: readonly Answer[]): void {
  const dir = join(ROOT, ".cache", "runs", "oracle");
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "results.json"), `${JSON.stringify(answers, null, 2)}\n`);
  writeFileSync(join(dir, "junit.xml"), toJunit(toSuites(answers)));
}
