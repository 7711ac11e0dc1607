/** The ratios of a run as a picture for the documents: bars from 1 × to the left for less and to the right for more, each step of the grid twice as much. Pure. */
import { html, Markup } from "@ordermesh/chaos/markup";

export type Bar = { readonly client: string; readonly cpu: number; readonly answered: number };
export type Group = { readonly title: string; readonly bars: readonly Bar[] };

const ROW = 18;
const GAP = 30;
const TOP = 44;
const LABELS = 190;
const STEP = 36;
/** Of the grid, as powers of two; what is beyond ends at the edge, and its figure says how much it is. */
const CPU = { title: "CPU of a call", x: LABELS + 60, from: -2, to: 2 };
const ANSWERED = { title: "calls answered", x: LABELS + 60 + 6 * STEP, from: -1, to: 7 };
const WIDTH = ANSWERED.x + (ANSWERED.to - ANSWERED.from) * STEP + 60;

const STYLE = `
svg{font:12px system-ui,sans-serif;background:#fff;fill:#1b1f24}
.title{font-weight:600}.soft{fill:#57606a}.grid{stroke:#d0d7de}.one{stroke:#57606a}.less{fill:#0550ae}.more{fill:#6639ba}
@media (prefers-color-scheme:dark){svg{background:#0d1117;fill:#e6edf3}.soft{fill:#9aa4af}.grid{stroke:#3d444d}.one{stroke:#9aa4af}.less{fill:#79c0ff}.more{fill:#d2a8ff}}`;

type Panel = typeof CPU;

/** An SVG document. */
export function plotOf(groups: readonly Group[], what: string): string {
  let y = TOP;
  const parts = groups.map(({ title, bars }) => {
    const head = html`<text class="title" x="10" y="${y + 12}">${title}</text>`;
    const rows = bars.map((bar, index) => html`\n${rowOf(bar, y + ROW * (index + 1))}`);
    y += ROW * (bars.length + 1) + GAP - ROW;
    return html`${head}${rows}\n`;
  });
  return html`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img">
<title>${what}</title>
<style>${new Markup(STYLE)}
</style>
${[CPU, ANSWERED].map((panel) => html`${axisOf(panel, y - GAP + ROW)}\n`)}${parts}</svg>
`.text;
}

function axisOf(panel: Panel, bottom: number): Markup {
  const steps = Array.from({ length: panel.to - panel.from + 1 }, (_, index) => panel.from + index);
  const lines = steps.map((power) => {
    const x = panel.x + (power - panel.from) * STEP;
    const label = power < 0 ? `1/${2 ** -power}` : `${2 ** power}`;
    const line = html`<line class="${power === 0 ? "one" : "grid"}" x1="${x}" x2="${x}" y1="${TOP - 6}" y2="${bottom}"/>`;
    return html`${line}<text class="soft" x="${x}" y="${TOP - 12}" text-anchor="middle">${label}</text>`;
  });
  return html`<text class="title" x="${panel.x}" y="14">${panel.title}, × bare grpc-js</text>${lines}`;
}

function rowOf({ client, cpu, answered }: Bar, y: number): Markup {
  return html`<text x="20" y="${y + 12}">${client}</text>${barOf(cpu, CPU, y)}${barOf(answered, ANSWERED, y)}`;
}

function barOf(ratio: number, { x, from, to }: Panel, y: number): Markup {
  const one = x - from * STEP;
  const end = x + (Math.min(to, Math.max(from, Math.log2(ratio))) - from) * STEP;
  const [left, width] = [Math.min(one, end), Math.abs(end - one)];
  const isLess = end < one;
  const place = isLess ? html`x="${end - 4}" text-anchor="end"` : html`x="${end + 4}"`;
  const figure = ratio.toFixed(ratio < 10 ? 2 : 0);
  return html`<rect class="${isLess ? "less" : "more"}" x="${left.toFixed(1)}" y="${y + 2}" width="${width.toFixed(1)}" height="${ROW - 6}"/><text ${place} y="${y + 12}">${figure}</text>`;
}
