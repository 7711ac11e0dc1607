/** Repeated faults: when which round is due. Pure. */
import type { Action } from "./action.ts";
import type { ExperimentStatus } from "./status.ts";

type Rounds = { readonly times: number; readonly everySeconds: number };

/** One round for a fault that holds from the beginning to the end. */
export function roundsOf(action: Action): Rounds {
  switch (action.type) {
    case "PodKill":
      return action.podKill;
    case "TerminateConnections":
      return action.terminateConnections;
    case "RevokeLeases":
      return action.revokeLeases;
    case "RebalanceStorm":
      return action.rebalanceStorm;
    case "RenewCertificates":
      return action.renewCertificates;
    default:
      return { times: 1, everySeconds: 1 };
  }
}

export function roundsMade({ targets }: Pick<ExperimentStatus, "targets">): number {
  return targets.reduce((most, { round }) => Math.max(most, round), 0);
}

/** Wall-clock time of the next round; undefined when all were made. */
export function nextRoundAtMs(
  action: Action,
  status: Pick<ExperimentStatus, "targets">,
  injectStartMs: number,
): number | undefined {
  const { times, everySeconds } = roundsOf(action);
  const made = roundsMade(status);
  return made >= times ? undefined : injectStartMs + made * everySeconds * 1_000;
}
