/** The look of a report's page, light and dark, from a telephone to paper. Pure. */
import { createHash } from "node:crypto";

export const STYLE = `
:root{color-scheme:light dark;--page:#fff;--text:#1b1f24;--soft:#57606a;--line:#d0d7de;--card:#f6f8fa;
--good:#116329;--bad:#a40e26;--open:#7d4e00;--accepted:#0550ae;--failed:#cf222e;--latency:#6639ba;--inject:#a40e26;--heal:#116329;
--baseline:#eef6ff;--fault:#ffe9e7;--healing:#fff3cd;--recovering:#e6f6ea;--judging:#f1edf9}
@media (prefers-color-scheme:dark){:root{--page:#0d1117;--text:#e6edf3;--soft:#9aa4af;--line:#3d444d;--card:#161b22;
--good:#56d364;--bad:#ff8b82;--open:#e3b341;--accepted:#79c0ff;--failed:#ff7b72;--latency:#d2a8ff;--inject:#ff8b82;--heal:#56d364;
--baseline:#10233a;--fault:#3a1618;--healing:#342a0c;--recovering:#11301a;--judging:#231c35}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:1rem;background:var(--page);color:var(--text);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.2;margin:.5rem 0}
h2{font-size:1.15rem;margin:2rem 0 .5rem}
p{margin:.5rem 0;max-width:46rem}
.verdict{border-left:.4rem solid var(--open);background:var(--card);padding:.6rem 1rem;margin:1rem 0}
.verdict strong{color:var(--open);font-size:1.25rem}
.verdict.passed{border-color:var(--good)}.verdict.passed strong{color:var(--good)}
.verdict.failed{border-color:var(--bad)}.verdict.failed strong{color:var(--bad)}
.held{color:var(--good)}.violated{color:var(--bad);font-weight:600}.unknown{color:var(--open)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(14rem,1fr));gap:.5rem 1.5rem;margin:1rem 0}
dt{color:var(--soft);font-size:.85rem}
dd{margin:0}
figure{margin:0}
.plot{display:block;background:var(--page);font:12px system-ui,sans-serif}
.plot text{fill:var(--text)}
.plot .scale{fill:var(--soft)}
.plot .head{font-weight:600}
.plot .number{text-anchor:middle;font-weight:600;fill:var(--soft)}
.plot .scale,.plot .head,.plot .number{paint-order:stroke;stroke:var(--page);stroke-width:3px;stroke-linejoin:round;stroke-opacity:.7}
.grid,.axis{stroke:var(--line)}
.grid{stroke-dasharray:2 4}
.plot path{fill:none;stroke-width:1.75px;stroke-linecap:round;stroke-linejoin:round;vector-effect:non-scaling-stroke}
.plot .accepted{stroke:var(--accepted)}
.plot .due{stroke:var(--soft);stroke-width:1px;stroke-dasharray:4 4}
.plot .failed{stroke:var(--failed);stroke-width:3px;stroke-linecap:butt}
.plot .latency{stroke:var(--latency)}
.baseline{fill:var(--baseline)}.fault{fill:var(--fault)}.healing{fill:var(--healing)}.recovering{fill:var(--recovering)}.judging{fill:var(--judging)}
.mark line{stroke-width:1px;stroke-dasharray:3 3}
.inject line{stroke:var(--inject)}.heal line{stroke:var(--heal)}
.plot .inject path,path.inject{fill:var(--inject);stroke:none}.plot .heal path,path.heal{fill:var(--heal);stroke:none}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;padding:0;margin:.5rem 0;font-size:.9rem}
.legend svg{vertical-align:-1px;margin-right:.35rem}
.legend rect{stroke:var(--line)}
.scroll{overflow-x:auto}
.scroll:focus-visible,summary:focus-visible{outline:2px solid var(--accepted);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-size:.9rem}
caption{text-align:left;color:var(--soft);padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.3rem .75rem .3rem 0;border-bottom:1px solid var(--line);overflow-wrap:normal}
td.wide{min-width:14rem;overflow-wrap:anywhere}
.count+.wide,.count+.plain{padding-left:.75rem}
th.count,td.count{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
summary{cursor:pointer;padding:.4rem 0}
ul.examples{margin:0;padding-left:1.1rem}
code{font:.9em ui-monospace,monospace}
@media print{.scroll{overflow:visible}body{max-width:none}}
`;

/** Lets the page have this style and nothing else: no script, no picture, no request. */
export const POLICY = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; base-uri 'none'; form-action 'none'`;
