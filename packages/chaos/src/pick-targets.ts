/** Which candidates become targets: bounded, seeded, and never the last healthy ones. Pure. */
import type { Random } from "@ordermesh/mesh/clock";
import type { Candidate } from "./backend.ts";
import type { ExperimentSpec } from "./experiment.ts";

export type Picked =
  | { readonly kind: "picked"; readonly targets: readonly Candidate[]; readonly ready: number }
  | { readonly kind: "none"; readonly reason: string };

/** The smallest of the three bounds wins; all of them count ready ones that are not protected. */
export function pickTargets(
  candidates: readonly Candidate[],
  { maxTargets, maxPercent, minHealthyRemaining }: Omit<ExperimentSpec["target"], "selector">,
  random: Random,
): Picked {
  if (candidates.length === 0) return { kind: "none", reason: "nothing matches the selector" };
  const open = candidates.filter(({ isProtected }) => !isProtected);
  if (open.length === 0) return { kind: "none", reason: "all that match are protected" };
  const ready = open.filter(({ isReady }) => isReady);
  const most = Math.min(maxTargets, Math.floor((ready.length * maxPercent) / 100), ready.length - minHealthyRemaining);
  if (most < 1) {
    const bounds = `maxPercent ${maxPercent} and minHealthyRemaining ${minHealthyRemaining}`;
    return {
      kind: "none",
      reason: `${ready.length} of ${open.length} that match are ready; ${bounds} leave none to take`,
    };
  }
  const targets = ready
    .toSorted((a, b) => (a.name < b.name ? -1 : 1)) // The order of a list request must not decide.
    .map((candidate) => ({ candidate, chance: random() }))
    .sort((a, b) => a.chance - b.chance)
    .slice(0, most)
    .map(({ candidate }) => candidate);
  return { kind: "picked", targets, ready: ready.length };
}
