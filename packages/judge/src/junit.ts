/** Results as JUnit XML, which CI systems read. Pure. */

export type JunitProblem = {
  /** `failure`: what was tested is wrong. `error`: nobody can tell, and CI is red as well. `skipped`: it was not tried. */
  readonly kind: "failure" | "error" | "skipped";
  readonly message: string;
};

export type JunitCase = { readonly name: string; readonly seconds: number; readonly problem: JunitProblem | undefined };

export type JunitSuite = {
  readonly name: string;
  readonly cases: readonly JunitCase[];
  /** RFC 3339. */
  readonly startedAt?: string;
  /** From begin to end, where it is not the sum of the cases. */
  readonly seconds?: number;
};

export function toJunit(suites: readonly JunitSuite[]): string {
  const counts = attributes(countsOf(suites.flatMap(({ cases }) => cases)));
  const parts = [`<testsuites ${counts}>`, ...suites.map(suiteElement), "</testsuites>"];
  return `<?xml version="1.0" encoding="UTF-8"?>\n${parts.join("\n")}\n`;
}

function suiteElement({ name, cases, startedAt, seconds }: JunitSuite): string {
  const time = (seconds ?? cases.reduce((sum, { seconds: own }) => sum + own, 0)).toFixed(3);
  const timestamp = startedAt === undefined ? {} : { timestamp: startedAt };
  const head = `  <testsuite ${attributes({ name, ...countsOf(cases), time, ...timestamp })}>`;
  return [head, ...cases.map((testCase) => caseElement(name, testCase)), "  </testsuite>"].join("\n");
}

function caseElement(suite: string, { name, seconds, problem }: JunitCase): string {
  const head = `    <testcase ${attributes({ classname: suite, name, time: seconds.toFixed(3) })}`;
  if (problem === undefined) return `${head}/>`;
  return `${head}><${problem.kind} ${attributes({ message: problem.message })}/></testcase>`;
}

function countsOf(cases: readonly JunitCase[]) {
  const count = (kind: JunitProblem["kind"]) => cases.filter(({ problem }) => problem?.kind === kind).length;
  return { tests: cases.length, failures: count("failure"), errors: count("error"), skipped: count("skipped") };
}

function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}="${quote(String(value))}"`)
    .join(" ");
}

/** What no XML may hold, however it is written. */
const FORBIDDEN = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu;
const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\t": "&#9;",
  "\n": "&#10;",
  "\r": "&#13;",
};

function quote(text: string): string {
  return text.replaceAll(FORBIDDEN, "\ufffd").replaceAll(/[&<>"\t\n\r]/g, (sign) => ENTITIES[sign] ?? sign);
}
