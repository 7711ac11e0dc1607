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

/**
 * Arms `<point>=1*<action>` and resolves when it has acted; arms again when the process was started anew meanwhile.
 * @throws Error after `timeoutMs`
 */
export async function actOnce(
  system: System,
  process: string,
  { point, action, timeoutMs }: { point: string; action: string; timeoutMs: number },
): Promise<void> {
  const before = countActs(system, process, point);
  const endsMs = performance.now() + timeoutMs;
  let armedPid: number | undefined;
  while (countActs(system, process, point) <= before) {
    if (performance.now() > endsMs) throw new Error(`${point} was not reached in ${process}`);
    const { pid } = system.process(process);
    if (pid !== undefined && pid !== armedPid) {
      await arm(system, process, `${point}=1*${action}`, timeoutMs);
      armedPid = pid;
    }
    await sleep(POLL_MS);
  }
}

/** Resolves when the point has acted more often than `before`. @throws Error after `timeoutMs` */
export async function untilActed(
  system: System,
  process: string,
  { point, before, timeoutMs }: { point: string; before: number; timeoutMs: number },
): Promise<void> {
  const endsMs = performance.now() + timeoutMs;
  while (countActs(system, process, point) <= before) {
    if (performance.now() > endsMs) throw new Error(`${point} was not reached in ${process}`);
    await sleep(POLL_MS);
  }
}
