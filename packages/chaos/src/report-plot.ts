/**
 * The run as one SVG: orders, failures and latency over time, the parts of the run shaded, a mark for each injection and heal. Places are
 * percents of its width and texts have a size of their own, so that it can be read on any screen. Pure.
 */
import { html, type Markup } from "./markup.ts";
import type { Mark, Report } from "./report.ts";
import type { Curve, Point } from "./report-curve.ts";
import { offset, tell } from "./report-words.ts";

/** Of the whole, of a panel's curve, and of what is above it. Pixels. */
const TOP = 26;
const PANEL = 92;
const HEAD = 26;
const AXIS = 24;
/** Of a curve's own coordinates, which are stretched to the panel. */
const WIDE = 1_000;
const HIGH = 100;

type Line = { readonly className: string; readonly of: (point: Point) => number | null; readonly isFilled?: boolean };
type Panel = { readonly title: string; readonly lines: readonly Line[]; readonly unit: string };

/** Milliseconds of its ends. */
type Span = { readonly fromMs: number; readonly toMs: number };

export const PLOT_TITLE = "The run over time";

/** Undefined without a record. */
export function plot({ curve, stretches, marks }: Report): Markup | undefined {
  const fromMs = stretches[0]?.fromMs;
  const toMs = stretches.at(-1)?.toMs;
  if (curve === undefined || fromMs === undefined || toMs === undefined || toMs <= fromMs) return undefined;
  const span = { fromMs, toMs };
  const panels = panelsOf(curve);
  const bottom = TOP + panels.length * (HEAD + PANEL);
  return html`<svg class="plot" width="100%" height="${bottom + AXIS}" role="img" aria-labelledby="plot-title plot-text">
<title id="plot-title">${PLOT_TITLE}</title>
<desc id="plot-text">${inWords(curve, stretches)}</desc>
${stretches.map((stretch, index) => shade(stretch, index, span, bottom))}
${panels.map((panel, index) => panelOf(panel, curve, span, TOP + index * (HEAD + PANEL)))}
${marks.map((mark) => markOf(mark, span, bottom))}
${ticks(span).map((atMs) => tickOf(atMs, span, bottom))}
</svg>`;
}

function panelsOf({ everySeconds }: Curve): Panel[] {
  const rate = (field: "begun" | "accepted" | "failed") => (point: Point) => point[field] / everySeconds;
  return [
    {
      title: "Orders a second: accepted, and due (dashed)",
      unit: "/s",
      lines: [
        { className: "accepted", of: rate("accepted") },
        { className: "due", of: rate("begun") },
      ],
    },
    {
      title: "Requests that failed, a second",
      unit: "/s",
      lines: [{ className: "failed", of: rate("failed"), isFilled: true }],
    },
    {
      title: "Latency of accepted orders, p99",
      unit: " ms",
      lines: [{ className: "latency", of: ({ p99Ms }) => p99Ms }],
    },
  ];
}

function shade({ name, fromMs, toMs }: Report["stretches"][number], index: number, span: Span, bottom: number): Markup {
  const [from, to] = [percent(fromMs, span), percent(toMs, span)];
  const isWide = to - from >= 4;
  const number = html`<text class="number" x="${middle(from, to)}%" y="16">${index + 1}</text>`;
  return html`<rect class="stretch ${name.toLowerCase()}" x="${from}%" width="${round(to - from)}%" y="0" height="${bottom}"><title>${name}</title></rect>
${isWide ? number : undefined}`;
}

function panelOf({ title, lines, unit }: Panel, curve: Curve, span: Span, y: number): Markup {
  const { points, everySeconds } = curve;
  const values = lines.flatMap(({ of }) => points.map((point) => of(point) ?? 0));
  const max = niceAbove(Math.max(...values, 0));
  const base = y + HEAD + PANEL;
  const paths = lines.map(
    (line) => html`<path class="${line.className}" d="${pathOf(line, points, { span, everySeconds, max })}"/>`,
  );
  return html`<text class="head" x="4" y="${y + HEAD - 8}">${title}</text>
<line class="grid" x1="0" x2="100%" y1="${y + HEAD}" y2="${y + HEAD}"/>
<line class="axis" x1="0" x2="100%" y1="${base}" y2="${base}"/>
<svg x="0" y="${y + HEAD}" width="100%" height="${PANEL}" viewBox="0 0 ${WIDE} ${HIGH}" preserveAspectRatio="none">${paths}</svg>
<text class="scale" x="4" y="${y + HEAD + 13}">${tell(max)}${unit}</text>`;
}

type Scale = { readonly span: Span; readonly everySeconds: number; readonly max: number };

/** Breaks where there is no value, or no point. A filled one stands on the axis. */
function pathOf({ of, isFilled = false }: Line, points: readonly Point[], { span, everySeconds, max }: Scale): string {
  const halfMs = everySeconds * 500;
  let path = "";
  let lastMs = Number.NEGATIVE_INFINITY;
  for (const point of points) {
    const value = of(point);
    if (value === null) continue;
    const x = round(percent(point.atMs + halfMs, span) * (WIDE / 100));
    const y = round(HIGH - (value / max) * (HIGH - 2));
    const isNext = point.atMs - lastMs < everySeconds * 1_500;
    lastMs = point.atMs;
    if (isFilled) path += value === 0 ? "" : `M${x} ${HIGH}V${y}`;
    else path += isNext ? `L${x} ${y}` : `M${x} ${y}h0`;
  }
  return path;
}

function markOf({ atMs, kind, targets }: Mark, span: Span, bottom: number): Markup {
  const x = percent(atMs, span);
  const shape = kind === "Inject" ? "M-5 0h10l-5 9z" : "M-5 9h10l-5 -9z";
  return html`<g class="mark ${kind.toLowerCase()}"><line x1="${x}%" x2="${x}%" y1="20" y2="${bottom}"/>
<svg x="${x}%" y="17" overflow="visible"><path d="${shape}"/></svg>
<title>${offset(atMs, span.fromMs)}: ${kind === "Inject" ? "injected into" : "healed at"} ${targets.join(", ")}</title></g>`;
}

function tickOf(atMs: number, span: Span, bottom: number): Markup {
  const x = percent(atMs, span);
  const anchor = x < 3 ? "start" : "middle";
  return html`<line class="axis" x1="${x}%" x2="${x}%" y1="${bottom}" y2="${bottom + 5}"/>
<text class="scale" x="${x}%" y="${bottom + 18}" text-anchor="${anchor}">${offset(atMs, span.fromMs)}</text>`;
}

const TICK_SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600];
const MAX_TICKS = 6;

/** Wall-clock times, from the beginning in equal steps; none so near to the end that its text would be cut. */
function ticks({ fromMs, toMs }: Span): number[] {
  const seconds = (toMs - fromMs) / 1_000;
  const step = TICK_SECONDS.find((each) => seconds / each <= MAX_TICKS) ?? Math.ceil(seconds / MAX_TICKS);
  const count = Math.floor((seconds * 0.95) / step) + 1;
  return Array.from({ length: count }, (_, index) => fromMs + index * step * 1_000);
}

function inWords({ points, everySeconds }: Curve, stretches: Report["stretches"]): string {
  const parts = stretches.map(({ name, fromMs, toMs, accepted, failed, p99Ms }) => {
    const seconds = Math.max(1, (toMs - fromMs) / 1_000);
    const latency = p99Ms === null ? "no latency" : `p99 ${p99Ms} ms`;
    return `${name}: ${tell(accepted / seconds)} orders a second accepted, ${failed} requests failed, ${latency}`;
  });
  const lowest = points.reduce(
    (least, { accepted }) => Math.min(least, accepted / everySeconds),
    Number.POSITIVE_INFINITY,
  );
  return `${parts.join(". ")}. At the worst moment ${tell(lowest)} orders a second were accepted. The same is in the tables.`;
}

const NICE = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

/** A round number that is not below; 1 for nothing. */
function niceAbove(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return NICE.map((factor) => factor * power).find((nice) => nice >= value) ?? value;
}

function percent(atMs: number, { fromMs, toMs }: Span): number {
  const share = (atMs - fromMs) / (toMs - fromMs);
  return round(Math.min(1, Math.max(0, share)) * 100);
}

function middle(from: number, to: number): number {
  return round((from + to) / 2);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
