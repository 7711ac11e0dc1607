/** Arms failpoints in running processes, and finds out that they were reached. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { System } from "@ordermesh/local/system";

const POLL_MS = 50;

/** Arms `spec` in the process as soon as it listens; replaces what was armed. @throws Error after `timeoutMs` */
export async function arm(system: System, process: string, spec: string, timeoutMs = 30_000): Promise<void> {
  const url = `${system.adminUrl(process)}/debug/failpoints`;
  const endsMs = performance.now() + timeoutMs;
  for (;;) {
    try {
      const response = await fetch(url, { method: "PUT", body: spec, signal: AbortSignal.timeout(2_000) });
      if (response.ok) return;
      throw new Error(`${process} refuses ${spec}: ${await response.text()}`);
    } catch (error) {
      if (performance.now() > endsMs) throw new Error(`${process} could not be armed with ${spec}`, { cause: error });
      await sleep(POLL_MS);
    }
  }
}

/** How often the armed point has acted in the process: it says so in its log before it does anything else. */
export function countActs(system: System, process: string, point: string): number {
  const log = readFileSync(system.process(process).spec.logFile, "utf8");
  return log.split(`{"failpoint":"${point}",`).length - 1;
}

/** Resolves when the point has acted once more than `before`. @throws Error after `timeoutMs` */
export async function untilActed(
  system: System,
  process: string,
  point: string,
  before: number,
  timeoutMs: number,
): Promise<void> {
  const endsMs = performance.now() + timeoutMs;
  while (countActs(system, process, point) <= before) {
    if (performance.now() > endsMs) throw new Error(`${point} was not reached in ${process}`);
    await sleep(POLL_MS);
  }
}
