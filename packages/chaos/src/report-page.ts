/** A report as one page of HTML that needs nothing else: no script, no picture, no network. Pure. */
import { memberOf } from "./action.ts";
import { html, Markup } from "./markup.ts";
import type { Report } from "./report.ts";
import { plot } from "./report-plot.ts";
import { POLICY, STYLE } from "./report-style.ts";
import {
  checksTable,
  conditionsTable,
  invariantsTable,
  secondsTable,
  stretchesTable,
  targetsTable,
} from "./report-tables.ts";
import { duration, offset, utc } from "./report-words.ts";

export function renderPage(report: Report): string {
  const { experiment, status } = report;
  const title = `${experiment.name}: ${status.verdict || "no verdict"}`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<header>
<h1>${experiment.name}</h1>
${verdictBox(status)}
<p>${experiment.spec.description}</p>
${facts(report)}
</header>
<main>
${theRun(report)}
${theFault(report)}
<section><h2>Checks</h2>
${checksTable(report)}
</section>
<section><h2>Invariants</h2>
${invariantsTable(report)}
</section>
<section><h2>How it went</h2>
${conditionsTable(report)}
</section>
</main>
</body>
</html>
`;
  return page.text;
}

function verdictBox({ verdict, reason, message }: Report["status"]): Markup {
  return html`<div class="verdict ${verdict.toLowerCase()}"><strong>${verdict || "No verdict"}</strong> <code>${reason}</code>
<p>${message}</p></div>`;
}

function facts({ experiment, status }: Report): Markup {
  const { startTime, completionTime, timeToRecoverSeconds, accepted, target, stop } = status;
  const { spec, namespace, createdAt } = experiment;
  const ms = Date.parse(completionTime ?? "") - Date.parse(startTime ?? "");
  const begun = startTime ?? createdAt;
  const rows: (readonly [string, Markup | string | undefined])[] = [
    ["Action", actionInWords(spec.action)],
    ["Target", target],
    ["Namespace", namespace],
    ["Begun", html`<time datetime="${begun}">${utc(begun)}</time>`],
    ["Took", Number.isNaN(ms) ? undefined : duration(ms)],
    ["Time to recover", timeToRecoverSeconds === undefined ? undefined : `${timeToRecoverSeconds} s`],
    ["Orders accepted", `${accepted.before} before, ${accepted.during} during, ${accepted.after} after`],
    ["Load and seed", `${spec.workload.ratePerSecond} orders/s, seed ${spec.seed}`],
    ["Stopped", stop && `${stop.reason}: ${stop.message}`],
  ];
  const known = rows.filter(([, value]) => value !== undefined);
  return html`<dl>${known.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

const MAX_PARAMETER = 200;

/** `PodKill: times 3, everySeconds 5`. */
function actionInWords(action: Report["experiment"]["spec"]["action"]): string {
  const member: unknown = Object.entries(action).find(([name]) => name === memberOf(action.type))?.[1];
  const parts = Object.entries(member ?? {}).map(([name, value]) => `${name} ${String(value).slice(0, MAX_PARAMETER)}`);
  return parts.length === 0 ? action.type : `${action.type}: ${parts.join(", ")}`;
}

function theRun(report: Report): Markup {
  const { stretches, curve } = report;
  const none = html`<p>The customers' record of this run is not there: it was never begun, or is lost.</p>`;
  const picture = plot(report);
  return html`<section><h2>The run</h2>
${picture === undefined ? none : html`<figure>${picture}<figcaption>${legend(report)}</figcaption></figure>`}
${stretches.length > 0 ? stretchesTable(report) : undefined}
${
  curve &&
  html`<details><summary>All ${curve.points.length} points as a table</summary>
${secondsTable(report, curve)}
</details>`
}
</section>`;
}

function legend({ stretches, marks }: Report): Markup {
  const startMs = stretches[0]?.fromMs ?? 0;
  const parts = stretches.map(
    (
      { name, fromMs },
      index,
    ) => html`<li><svg width="12" height="12" aria-hidden="true"><rect class="${name.toLowerCase()}" width="12" height="12"/></svg>${index + 1} ${name} from ${offset(fromMs, startMs)}</li>
`,
  );
  const has = (kind: "Inject" | "Heal") => marks.some((mark) => mark.kind === kind);
  const sign = (className: string, shape: string, text: string) =>
    html`<li><svg width="12" height="10" aria-hidden="true"><path class="${className}" d="${shape}"/></svg>${text}</li>`;
  return html`<ul class="legend">${parts}${has("Inject") ? sign("inject", "M1 0h10l-5 9z", "injected") : undefined}
${has("Heal") ? sign("heal", "M1 9h10l-5 -9z", "healed") : undefined}</ul>`;
}

function theFault(report: Report): Markup {
  const { faultEvidence, targets } = report.status;
  const { expected, observed, detail } = faultEvidence ?? { expected: 0, observed: 0, detail: "" };
  const evidence =
    faultEvidence === undefined
      ? html`<p>Nothing was looked at, as nothing was injected.</p>`
      : html`<p>Observed ${observed} of ${expected} expected: ${detail}</p>`;
  return html`<section><h2>The fault and its evidence</h2>
${evidence}
${targets.length > 0 ? targetsTable(report) : undefined}
</section>`;
}
