/** A verdict as a table. Pure; colours only when asked for. */
import type { Verdict } from "./invariants.ts";

/** Text and colour. */
const MARKS = { True: ["held    ", 32], False: ["VIOLATED", 31], Unknown: ["unknown ", 33] } as const;

export function renderVerdict({ verdict, findings, accepted }: Verdict, isColoured: boolean): string {
  const paint = (text: string, code: number) => (isColoured ? `\u001b[${code}m${text}\u001b[0m` : text);
  const rows = findings.map(({ id, name, held, examined, violations }) => {
    const [word, code] = MARKS[held];
    const mark = paint(word, code);
    return `  ${id.padEnd(4)} ${name.padEnd(32)} ${mark} ${String(examined).padStart(9)} ${String(violations).padStart(11)}`;
  });
  const examples = findings.flatMap(({ id, examples: found }) => found.map((example) => `  ${id}: ${example}`));
  const head = `  ${"".padEnd(4)} ${"invariant".padEnd(32)} ${"".padEnd(8)} ${"examined".padStart(9)} ${"violations".padStart(11)}`;
  const colour = { Passed: 32, Failed: 31, Inconclusive: 33 }[verdict];
  return [
    head,
    ...rows,
    ...(examples.length > 0 ? ["", ...examples] : []),
    "",
    `${paint(verdict, colour)}: ${accepted} orders were accepted.`,
    "",
  ].join("\n");
}

/** 0 Passed, 1 Failed, 2 Inconclusive. */
export function exitCodeOf({ verdict }: Verdict): number {
  return { Passed: 0, Failed: 1, Inconclusive: 2 }[verdict];
}
