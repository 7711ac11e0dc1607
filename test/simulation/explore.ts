/** Many runs, one after another: their sum, and those that failed. */
import type { Bug } from "./bugs.ts";
import { type RunResult, run } from "./run.ts";

/** A run in which an invariant was violated, or that did not come to rest. */
export type Failure = {
  readonly seed: number;
  readonly invariants: readonly string[];
  readonly examples: readonly string[];
};

/** Plain data, as workers send it. */
export type Summary = {
  readonly runs: number;
  readonly steps: number;
  readonly virtualMs: number;
  readonly orders: number;
  readonly crashes: number;
  /** Of the interleavings, one for each run. */
  readonly hashes: readonly number[];
  readonly failures: readonly Failure[];
};

export const NOTHING: Summary = { runs: 0, steps: 0, virtualMs: 0, orders: 0, crashes: 0, hashes: [], failures: [] };

export type Exploration = {
  readonly firstSeed: number;
  /** Every how many seeds, where several workers share them. */
  readonly stride: number;
  readonly runs: number;
  readonly seconds: number;
};

/** Runs until `runs` are done or `seconds` have passed. */
export async function explore({ firstSeed, stride, runs, seconds }: Exploration): Promise<Summary> {
  const endsMs = performance.now() + seconds * 1_000;
  let summary = NOTHING;
  for (let seed = firstSeed; summary.runs < runs && performance.now() < endsMs; seed += stride) {
    summary = sum(summary, summarize(await run({ seed })));
    await breath();
  }
  return summary;
}

/** The first failing run with a bug, and how many runs it took; no failure when none of them failed. */
export async function hunt(bug: Bug, firstSeed: number, runs: number): Promise<{ runs: number; failure?: Failure }> {
  for (let count = 1; count <= runs; count += 1) {
    const failure = failureOf(await run({ seed: firstSeed + count - 1, bug }));
    if (failure !== undefined) return { runs: count, failure };
    await breath();
  }
  return { runs };
}

export function sum(a: Summary, b: Summary): Summary {
  return {
    runs: a.runs + b.runs,
    steps: a.steps + b.steps,
    virtualMs: a.virtualMs + b.virtualMs,
    orders: a.orders + b.orders,
    crashes: a.crashes + b.crashes,
    hashes: a.hashes.concat(b.hashes),
    failures: a.failures.concat(b.failures),
  };
}

function summarize(result: RunResult): Summary {
  const { steps, virtualMs, accepted, crashes, hash } = result;
  const failure = failureOf(result);
  const failures = failure === undefined ? [] : [failure];
  return { runs: 1, steps, virtualMs, orders: accepted, crashes, hashes: [hash], failures };
}

export function failureOf({ seed, verdict, findings, open }: RunResult): Failure | undefined {
  if (verdict !== "Failed" && open.length === 0) return undefined;
  const violated = findings.filter(({ held }) => held === "False");
  const invariants = [...violated.map(({ id }) => id), ...(open.length > 0 ? ["not at rest"] : [])];
  return { seed, invariants, examples: [...violated.flatMap(({ examples }) => examples.slice(0, 1)), ...open] };
}

/** A run goes on within one turn of the event loop; between two, what the loop has to do gets its turn. */
function breath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
