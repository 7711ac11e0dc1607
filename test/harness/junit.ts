/** Results as JUnit XML, which CI systems read. Pure. */

export type JunitCase = { readonly name: string; readonly seconds: number; readonly problem: string | undefined };

export function toJunit(suite: string, cases: readonly JunitCase[]): string {
  const failed = cases.filter(({ problem }) => problem !== undefined).length;
  const lines = cases.map(({ name, seconds, problem }) => {
    const failure = problem === undefined ? "" : `<failure message="${quote(problem)}"/>`;
    return `  <testcase name="${quote(name)}" time="${seconds.toFixed(3)}">${failure}</testcase>`;
  });
  return `<testsuite name="${suite}" tests="${cases.length}" failures="${failed}">\n${lines.join("\n")}\n</testsuite>\n`;
}

function quote(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
