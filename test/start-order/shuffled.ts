/** Starts a system whose processes begin in a random order, some seconds apart. */

import { startFreshSystem } from "@ordermesh/local/fresh-system";
import type { System } from "@ordermesh/local/system";

const MAX_DELAY_MS = 4_000;

export type Shuffled = {
  readonly system: System;
  readonly order: readonly string[];
  readonly restarts: number;
  readonly seconds: number;
};

/** `restarts` counts the processes that ended by themselves and had to be started again. */
export async function startShuffled(name: string, random: () => number): Promise<Shuffled> {
  const delays = new Map<string, number>();
  const delayMs = (process: string) => {
    const delay = random() * MAX_DELAY_MS;
    delays.set(process, delay);
    return delay;
  };
  const startedMs = performance.now();
  const system = await startFreshSystem(name, process.env, { delayMs });
  const seconds = (performance.now() - startedMs) / 1_000;
  const order = [...delays].sort(([, a], [, b]) => a - b).map(([name]) => name);
  const restarts = system.names.reduce((sum, name) => sum + system.process(name).restarts, 0);
  return { system, order, restarts, seconds };
}
