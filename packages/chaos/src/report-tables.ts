/** The tables of a report's page. Pure. */
import { html, type Markup } from "./markup.ts";
import type { Report } from "./report.ts";
import type { Curve } from "./report-curve.ts";
import { duration, offset, tell } from "./report-words.ts";

type Cell = string | number | Markup;
/** `count`: of numbers, to the right. `wide`: of sentences. */
type Column = { readonly name: string; readonly kind?: "count" | "wide" };

const count = (name: string): Column => ({ name, kind: "count" });
const wide = (name: string): Column => ({ name, kind: "wide" });
const column = (name: string): Column => ({ name });

/** A longer one is closed at first. */
const MAX_OPEN_ROWS = 12;

export function stretchesTable({ stretches }: Report): Markup {
  const columns = ["from", "took", "due", "accepted", "accepted/s", "failed", "p99"].map(count);
  const startMs = stretches[0]?.fromMs ?? 0;
  const rows = stretches.map(({ name, fromMs, toMs, begun, accepted, failed, p99Ms }, index) => {
    const seconds = (toMs - fromMs) / 1_000;
    const rate = seconds < 1 ? "–" : tell(accepted / seconds);
    const shown = [offset(fromMs, startMs), duration(toMs - fromMs), begun, accepted, rate, failed, latency(p99Ms)];
    return [`${index + 1} ${name}`, ...shown];
  });
  return table("What the customers met in each part of the run", [column("part"), ...columns], rows);
}

export function secondsTable({ stretches }: Report, { points, everySeconds }: Curve): Markup {
  const columns = ["from", "due", "accepted", "failed", "p99"].map(count);
  const startMs = stretches[0]?.fromMs ?? points[0]?.atMs ?? 0;
  const rows = points.map(({ atMs, begun, accepted, failed, p99Ms }) => {
    return [offset(atMs, startMs), begun, accepted, failed, latency(p99Ms)];
  });
  return table(everySeconds === 1 ? "One second each" : `${everySeconds} seconds each`, columns, rows);
}

export function targetsTable({ status, stretches }: Report): Markup {
  const startMs = stretches[0]?.fromMs ?? 0;
  const at = (time: string | undefined) => (time === undefined ? "–" : offset(Date.parse(time), startMs));
  const rows = status.targets.map(({ kind, name, node, round, state, injectedAt, healedAt }) => {
    return [name, kind, node || "–", state, round, at(injectedAt), at(healedAt)];
  });
  const columns = [...["target", "kind", "node", "state"].map(column), ...["round", "injected", "healed"].map(count)];
  const whole = table("What the fault was put into", columns, rows);
  if (rows.length <= MAX_OPEN_ROWS) return whole;
  return html`<details><summary>All ${rows.length} targets</summary>
${whole}
</details>`;
}

const OUTCOMES = { Held: ["held", "held"], Failed: ["violated", "failed"], Unknown: ["unknown", "unknown"] } as const;

export function checksTable({ checks }: Report): Markup {
  if (checks.length === 0) return html`<p>None were asked for.</p>`;
  const rows = checks.map(({ name, phase, isStopCondition, rule, outcome, worst, last, ...counts }) => {
    const [className, word] = OUTCOMES[outcome];
    const what = isStopCondition ? "stop condition" : phase.toLowerCase();
    const values = [worst ?? "–", last ?? "–", counts.samples, counts.failures, counts.errors];
    return [name, what, rule, html`<span class="${className}">${word}</span>`, ...values];
  });
  const columns = [
    ...["check", "when"].map(column),
    wide("must be"),
    column("outcome"),
    ...["worst", "last", "samples", "failed", "no data"].map(count),
  ];
  return table("The steady state before, during and after the fault", columns, rows);
}

const HELD = { True: ["held", "held"], False: ["violated", "violated"], Unknown: ["unknown", "unknown"] } as const;

export function invariantsTable({ status }: Report): Markup {
  if (status.invariants.length === 0) return html`<p>Nothing was judged.</p>`;
  const rows = status.invariants.map(({ name, held, examined, violations, examples }) => {
    const [className, word] = HELD[held];
    const list = html`<ul class="examples">${examples.map((example) => html`<li>${example}</li>`)}</ul>`;
    return [
      name,
      html`<span class="${className}">${word}</span>`,
      examined,
      violations,
      examples.length > 0 ? list : "–",
    ];
  });
  const columns = [column("invariant"), column("outcome"), count("examined"), count("violations"), wide("examples")];
  return table("Read from the authorities after all had come to rest", columns, rows);
}

export function conditionsTable({ status, stretches }: Report): Markup {
  const startMs = stretches[0]?.fromMs ?? 0;
  const rows = status.conditions.map(({ type, status: is, reason, message, lastTransitionTime }) => {
    const since = is === "Unknown" ? "–" : offset(Date.parse(lastTransitionTime), startMs);
    return [type, is, since, reason, message || "–"];
  });
  const columns = [column("condition"), column("status"), count("since"), column("reason"), wide("message")];
  return table("The conditions of the experiment at its end", columns, rows);
}

function latency(p99Ms: number | null): string {
  return p99Ms === null ? "–" : `${p99Ms} ms`;
}

/** Wider than the screen it can be scrolled, by keyboard too. The first cell of a row is its head. */
function table(caption: string, columns: readonly Column[], rows: readonly (readonly Cell[])[]): Markup {
  const classOf = (index: number) => columns[index]?.kind ?? "plain";
  const heads = columns.map(({ name }, index) => html`<th scope="col" class="${classOf(index)}">${name}</th>`);
  const lines = rows.map(([first = "", ...cells]) => {
    const rest = cells.map((cell, index) => html`<td class="${classOf(index + 1)}">${cell}</td>`);
    return html`<tr><th scope="row" class="${classOf(0)}">${first}</th>${rest}</tr>
`;
  });
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table><caption>${caption}</caption>
<thead><tr>${heads}</tr></thead>
<tbody>
${lines}</tbody></table></div>`;
}
