/** How much memory processes have over time, and whether it grows. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { meanOf, medianOf } from "../harness/averages.ts";

/** What a process of a name had. `pid` tells one life of it from the next. */
export type Sample = { readonly name: string; readonly pid: number; readonly atMs: number; readonly kib: number };
export type Growth = {
  readonly name: string;
  readonly lives: number;
  /** Of the lives that tell something, without what is warming up. */
  readonly minutes: number;
  readonly meanMib: number;
  /** What came on top in all these minutes, steps included. */
  readonly addedMib: number;
  /** As the median of the slopes between any two looks has it (Theil and Sen), of which a step that comes once is no part. Told, and decides nothing. */
  readonly medianPerTenMinutes: number;
  /** Share of the mean that comes on top in ten minutes, as the line through each life of a common slope has it; NaN when none was long enough. */
  readonly perTenMinutes: number;
};

const TEN_MINUTES_MS = 600_000;
/** A shorter life says nothing of a hundredth in ten minutes: from one collection to the next memory goes up and down by more. */
const MIN_LIFE_MS = 480_000;

const execute = promisify(execFile);

/** Resident memory by the operating system's word; a process that has ended is left out. */
export async function residentKib(pids: readonly number[]): Promise<ReadonlyMap<number, number>> {
  // It fails when one of them has ended, and has told of the others by then.
  const { stdout } = await execute("ps", ["-o", "pid=,rss=", "-p", pids.join(",")]).catch(
    (error: { stdout?: string }) => ({ stdout: error.stdout ?? "" }),
  );
  const rows = stdout.split("\n").map((line) => line.trim().split(/\s+/).map(Number));
  return new Map(rows.flatMap(([pid = 0, kib = 0]) => (pid > 0 ? [[pid, kib] as const] : [])));
}

/** The first `warmUpMs` of each life are left out: a program fills its caches, and V8 lets its heap grow to what the load needs. Pure. */
export function growthOf(samples: readonly Sample[], warmUpMs: number): Growth[] {
  return [...Map.groupBy(samples, ({ name }) => name)].map(([name, own]) => {
    const lives = [...Map.groupBy(own, ({ pid }) => pid).values()].map((life) => {
      const bornMs = Math.min(...life.map(({ atMs }) => atMs));
      return life.filter(({ atMs }) => atMs - bornMs >= warmUpMs);
    });
    const warm = lives.filter((life) => spanMs(life) >= MIN_LIFE_MS);
    const mean = meanOf(warm.flat().map(({ kib }) => kib));
    return {
      name,
      lives: lives.length,
      minutes: warm.reduce((sum, life) => sum + spanMs(life), 0) / 60_000,
      meanMib: mean / 1_024,
      addedMib: warm.reduce((sum, life) => sum + (life.at(-1)?.kib ?? 0) - (life[0]?.kib ?? 0), 0) / 1_024,
      medianPerTenMinutes: (medianSlope(warm) * TEN_MINUTES_MS) / mean,
      perTenMinutes: (commonSlope(warm) * TEN_MINUTES_MS) / mean,
    };
  });
}

/** KiB for each ms: least squares, with a level of its own for each life. */
function commonSlope(lives: readonly (readonly Sample[])[]): number {
  let above = 0;
  let below = 0;
  for (const life of lives) {
    const meanMs = meanOf(life.map(({ atMs }) => atMs));
    const meanKib = meanOf(life.map(({ kib }) => kib));
    for (const { atMs, kib } of life) {
      above += (atMs - meanMs) * (kib - meanKib);
      below += (atMs - meanMs) ** 2;
    }
  }
  return above / below;
}

function medianSlope(lives: readonly (readonly Sample[])[]): number {
  const slopes = lives.flatMap((life) =>
    life.flatMap((one, index) => life.slice(index + 1).map((other) => (other.kib - one.kib) / (other.atMs - one.atMs))),
  );
  return medianOf(slopes);
}

function spanMs(life: readonly Sample[]): number {
  return Math.max(...life.map(({ atMs }) => atMs)) - Math.min(...life.map(({ atMs }) => atMs));
}
