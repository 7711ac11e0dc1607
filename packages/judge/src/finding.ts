/** What was found about one invariant. Pure. */

export type InvariantId = "I1" | "I2" | "I3" | "I4" | "I5" | "I6" | "I7" | "I8" | "I9" | "I10" | "I11" | "I12";

export type Finding = {
  readonly id: InvariantId;
  readonly name: string;
  /** `Unknown`: what it is about could not be read; never taken for held. */
  readonly held: "True" | "False" | "Unknown";
  /** How many things were looked at. */
  readonly examined: number;
  readonly violations: number;
  /** At most five: what is wrong, and with what. */
  readonly examples: readonly string[];
};

const MAX_EXAMPLES = 5;

export function finding(id: InvariantId, name: string, examined: number, problems: readonly string[]): Finding {
  return {
    id,
    name,
    held: problems.length === 0 ? "True" : "False",
    examined,
    violations: problems.length,
    examples: problems.slice(0, MAX_EXAMPLES),
  };
}

export function unknownFinding(id: InvariantId, name: string, why: string): Finding {
  return { id, name, held: "Unknown", examined: 0, violations: 0, examples: [why] };
}
