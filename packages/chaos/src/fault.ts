/** The part of a back end that one kind of action needs. */
import type { Candidate, InjectContext } from "./backend.ts";
import type { FaultEvidence, TargetStatus } from "./status.ts";

/** As in the port `Backend`; a back end may know more of its candidates. */
export type Fault<C extends Candidate = Candidate> = {
  /** `found` are all that matched when the target was chosen. */
  readonly planUndo?: (target: Candidate, context: InjectContext, found: readonly C[]) => string;
  /** Begins to collect what proves the fault. Called again and again. */
  readonly watch?: (context: InjectContext) => Promise<void>;
  readonly inject: (target: TargetStatus, context: InjectContext) => Promise<void>;
  readonly heal: (target: TargetStatus, context: InjectContext) => Promise<void>;
  readonly isHealed: (target: TargetStatus, context: InjectContext) => Promise<boolean>;
  readonly evidence: (targets: readonly TargetStatus[], context: InjectContext) => Promise<FaultEvidence>;
  readonly forget?: (experimentUid: string) => void;
};

/** The targets that something was done to. */
export function actedOn(targets: readonly TargetStatus[]): TargetStatus[] {
  return targets.filter(({ state, injectedAt }) => state === "Injected" || injectedAt !== undefined);
}
