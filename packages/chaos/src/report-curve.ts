/** What the customers met over time, for a reader: few enough points to draw, and sums for each part of the run. Pure. */
import type { Second } from "./backend.ts";
import { mergeLatencies, quantileMs } from "./measure.ts";
import type { ExperimentStatus } from "./status.ts";

const MAX_POINTS = 720;

/** Sums over `everySeconds` of the curve it belongs to; `atMs` is the beginning. */
export type Point = Pick<Second, "atMs" | "begun" | "accepted" | "failed" | "p99Ms">;
export type Curve = { readonly everySeconds: number; readonly points: readonly Point[] };

export const STRETCHES = ["Baseline", "Fault", "Healing", "Recovering", "Judging"] as const;

/** A part of the run, with what came of the orders in it. */
export type Stretch = {
  readonly name: (typeof STRETCHES)[number];
  readonly fromMs: number;
  readonly toMs: number;
  readonly begun: number;
  readonly accepted: number;
  readonly failed: number;
  readonly p99Ms: number | null;
};

/** As many seconds to a point as it takes to have few enough; percentiles come from the histograms together. */
export function thin(seconds: readonly Second[], maxPoints = MAX_POINTS): Curve {
  const everySeconds = Math.max(1, Math.ceil(seconds.length / maxPoints));
  const count = Math.ceil(seconds.length / everySeconds);
  const points = Array.from({ length: count }, (_, index) => {
    const own = seconds.slice(index * everySeconds, (index + 1) * everySeconds);
    return { atMs: own[0]?.atMs ?? 0, ...sumsOf(own) };
  });
  return { everySeconds, points };
}

/** In the order of the run; those that were not reached are not there. */
export function stretchesOf(status: ExperimentStatus, seconds: readonly Second[]): Stretch[] {
  const { startTime, injectStartTime, healStartTime, healedTime, judgeStartTime, completionTime } = status;
  const begins = [startTime, injectStartTime, healStartTime, healedTime, judgeStartTime];
  const reached = begins.flatMap((time, index) => {
    const name = STRETCHES[index];
    return time === undefined || name === undefined ? [] : [{ name, fromMs: Date.parse(time) }];
  });
  return reached.map(({ name, fromMs }, index) => {
    const toMs = reached[index + 1]?.fromMs ?? Date.parse(completionTime ?? new Date(fromMs).toISOString());
    // A second belongs to where its middle is.
    const own = seconds.filter(({ atMs }) => atMs + 500 >= fromMs && atMs + 500 < toMs);
    return { name, fromMs, toMs, ...sumsOf(own) };
  });
}

function sumsOf(seconds: readonly Second[]): Omit<Point, "atMs"> {
  const sum = (field: "begun" | "accepted" | "failed") => seconds.reduce((total, second) => total + second[field], 0);
  const [only, ...others] = seconds;
  const p99Ms = others.length === 0 ? (only?.p99Ms ?? null) : (quantileMs(mergeLatencies(seconds), 0.99) ?? null);
  return { begun: sum("begun"), accepted: sum("accepted"), failed: sum("failed"), p99Ms };
}
