/** Explores interleavings of the whole order system in memory. Exit codes: 0 nothing found, 1 a run failed, 3 wrong use. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { readCommandLine } from "@ordermesh/runtime/command-line";
import { BUGS } from "./bugs.ts";
import { type Exploration, failureOf, hunt, NOTHING, type Summary, sum } from "./explore.ts";
import { run } from "./run.ts";

const HELP = `Usage: make simulate ARGS="[--seconds S | --runs N] [--seed N] [--bugs] [--trace]"

  --seconds S    how long to go on; 60 without --runs
  --runs N       how many runs, one for each seed
  --seed N       the first seed (default 1); alone, one run of this seed
  --workers N    threads (default: one for each processor)
  --bugs         how soon each planted bug is found, and by which invariant
  --bug NAME     plants one of them into the one run of --seed
  --trace        prints every event of the one run of --seed
`;
const MAX_HUNT = 3_000;

const { values } = readCommandLine(
  {
    options: {
      seconds: { type: "string" },
      runs: { type: "string" },
      seed: { type: "string" },
      workers: { type: "string" },
      bugs: { type: "boolean" },
      trace: { type: "boolean" },
      bug: { type: "string" },
      help: { type: "boolean" },
    },
  },
  HELP,
);
const [seconds, runs, seed, workers] = [values.seconds, values.runs, values.seed, values.workers].map(toNumber);
const bug = BUGS.find(({ name }) => name === values.bug);

if (values.help) process.stdout.write(HELP);
else if ([seconds, runs, seed, workers].some(Number.isNaN) || (values.bug !== undefined && bug === undefined)) {
  process.stderr.write(HELP);
  process.exitCode = 3;
} else if (values.bugs) await showBugs(seed ?? 1, runs ?? MAX_HUNT);
else if (seed !== undefined && seconds === undefined && runs === undefined) await showRun(seed);
else await showExploration({ firstSeed: seed ?? 1, runs, seconds: seconds ?? (runs === undefined ? 60 : undefined) });

async function showRun(onlySeed: number): Promise<void> {
  const trace = (atMs: number, label: string) => process.stdout.write(`${atMs.toFixed(1).padStart(10)} ${label}\n`);
  const result = await run({ seed: onlySeed, bug, trace: values.trace ? trace : undefined });
  const { verdict, accepted, steps, virtualMs, crashes, hash } = result;
  const facts = `${accepted} orders, ${crashes} crashes, ${steps} steps, ${(virtualMs / 1_000).toFixed(1)} s of virtual time`;
  process.stdout.write(`seed ${onlySeed}: ${verdict}; ${facts}; interleaving ${hash.toString(16)}\n`);
  const failure = failureOf(result);
  if (failure === undefined) return;
  process.stdout.write(failure.examples.map((example) => `  ${example}\n`).join(""));
  process.exitCode = 1;
}

async function showExploration(wanted: { firstSeed: number; runs: number | undefined; seconds: number | undefined }) {
  const startedMs = performance.now();
  const { firstSeed, runs: most = Number.POSITIVE_INFINITY, seconds: longest = Number.POSITIVE_INFINITY } = wanted;
  const stride = workers ?? availableParallelism();
  const parts = Array.from({ length: stride }, (_, index) => ({
    firstSeed: firstSeed + index,
    stride,
    runs: Math.ceil((most - index) / stride),
    seconds: longest,
  }));
  const summary = (await Promise.all(parts.map(inWorker))).reduce(sum, NOTHING);
  const tookS = (performance.now() - startedMs) / 1_000;
  const { runs: count, steps, virtualMs, orders, crashes, hashes, failures } = summary;
  const each = (total: number) => (total / Math.max(1, count)).toFixed(1);
  const print = (text: string) => process.stdout.write(`${text}\n`);
  print(`${count} runs in ${tookS.toFixed(1)} s by ${stride} threads: ${(count / tookS).toFixed(1)} runs/s`);
  print(
    `${new Set(hashes).size} different interleavings, of ${each(steps)} steps in ${each(virtualMs)} ms of virtual time`,
  );
  print(`${orders} orders accepted, ${crashes} crashes`);
  print(`${failures.length} failed`);
  for (const { seed: failed, invariants, examples } of failures.slice(0, 10)) {
    print(`  seed ${failed}: ${invariants.join(", ")}: ${examples[0]}`);
    print(`    again: make simulate ARGS="--seed ${failed} --trace"`);
  }
  if (failures.length > 0) process.exitCode = 1;
}

function inWorker(part: Exploration): Promise<Summary> {
  const { promise, resolve, reject } = Promise.withResolvers<Summary>();
  let summary = NOTHING;
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: part });
  worker.on("message", (next: Summary) => {
    summary = sum(summary, next);
  });
  worker.on("error", reject);
  worker.on("exit", () => resolve(summary));
  return promise;
}

async function showBugs(firstSeed: number, most: number): Promise<void> {
  const line = (...cells: readonly [string, string, string, string]) =>
    process.stdout.write(`${cells[0].padEnd(30)} ${cells[1].padStart(5)} ${cells[2].padStart(6)}  ${cells[3]}\n`);
  line("planted bug", "runs", "seed", "violated");
  for (const planted of BUGS) {
    const { runs: took, failure } = await hunt(planted, firstSeed, most);
    if (failure === undefined) process.exitCode = 1;
    line(planted.name, String(took), String(failure?.seed ?? "-"), failure?.invariants.join(", ") ?? "not found");
  }
}

/** NaN when it is no whole number above 0. */
function toNumber(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  return Number.isSafeInteger(number) && number > 0 ? number : Number.NaN;
}
