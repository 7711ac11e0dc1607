/**
 * Named places at which a test makes the process die, fail or wait. A call costs one comparison unless the process was
 * started for tests. After etcd-io/gofail: `name=[N*]action`, action one of kill, exhaust, error, sleep(ms).
 */
import { writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

type Action = { readonly kind: "kill" | "exhaust" | "error" } | { readonly kind: "sleep"; readonly ms: number };
type Armed = { readonly action: Action; remaining: number };

/** What an armed `error` throws: looks like any bug, so that nothing treats it kindly. */
export class FailpointError extends Error {
  override readonly name = "FailpointError";
}

class Failpoints {
  readonly hits = new Map<string, number>();
  armed: Map<string, Armed> = new Map();

  async hit(name: string): Promise<void> {
    this.hits.set(name, (this.hits.get(name) ?? 0) + 1);
    const armed = this.armed.get(name);
    if (armed === undefined || armed.remaining <= 0) return;
    armed.remaining -= 1;
    const { action } = armed;
    // Written at once and not through the logger, because a killed process flushes nothing.
    writeSync(2, `${JSON.stringify({ failpoint: name, action: action.kind })}\n`);
    if (action.kind === "kill") die();
    if (action.kind === "exhaust") exhaust();
    if (action.kind === "error") throw new FailpointError(`failpoint ${name}`);
    if (action.kind === "sleep") await sleep(action.ms);
  }
}

/** A container's first process is deaf to its own SIGKILL, and ends as if it had been hit by one. */
function die(): void {
  process.kill(process.pid, "SIGKILL");
  (process as unknown as { reallyExit(code: number): never }).reallyExit(137);
}

const PIECE_LENGTH = 16_384;
const MAX_PIECES = 8_192;

/** Takes memory until V8's limit or the container's ends the process; at 1 GiB, where there is neither, it ends itself. */
function exhaust(): void {
  const held: number[][] = [];
  while (held.length < MAX_PIECES) held.push(new Array<number>(PIECE_LENGTH).fill(held.length + 0.5));
  die();
}

let failpoints: Failpoints | undefined;

/** `await failpoint("payment.captured")`: a place that the crash matrix can choose. */
export function failpoint(name: string): Promise<void> | undefined {
  return failpoints?.hit(name);
}

/** Allows failpoints in this process and arms those of `spec`; what was armed before is disarmed. */
export function armFailpoints(spec: string): void {
  const armed = parseFailpoints(spec);
  failpoints ??= new Failpoints();
  failpoints.armed = armed;
}

/** How often each point was passed since failpoints were allowed; undefined when they are not. */
export function failpointHits(): Record<string, number> | undefined {
  return failpoints === undefined ? undefined : Object.fromEntries(failpoints.hits);
}

/** @throws Error that names the part that cannot be read */
export function parseFailpoints(spec: string): Map<string, Armed> {
  const armed = new Map<string, Armed>();
  for (const part of spec.split(";").filter((item) => item.trim() !== "")) {
    const match = /^\s*([a-zA-Z.]+)=(?:(\d+)\*)?(kill|exhaust|error|sleep\((\d{1,6})\))\s*$/.exec(part);
    if (match === null)
      throw new Error(`${JSON.stringify(part)} must be name=[N*]kill, exhaust, error or sleep(milliseconds)`);
    const [, name = "", count, kind = "", ms] = match;
    const action: Action =
      ms === undefined ? { kind: kind as "kill" | "exhaust" | "error" } : { kind: "sleep", ms: Number(ms) };
    armed.set(name, { action, remaining: count === undefined ? Number.POSITIVE_INFINITY : Number(count) });
  }
  return armed;
}
