/** What etcd, Kafka and PostgreSQL have in common: processes that are healthy at an address after a while. */
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { ManagedProcess } from "./process.ts";

/** A part that can be started: its address is known before it runs. `processes` is empty for one that somebody else runs. */
export type Part = {
  /** What goes into `MESH_ETCD_ENDPOINTS`, `MESH_KAFKA_BROKERS` or `MESH_POSTGRES_URL`. */
  readonly address: string;
  /** Addresses for single clients, where the part tells each of them where it is to be reached. */
  readonly addressFor?: Readonly<Record<string, string>>;
  readonly processes: readonly ManagedProcess[];
  /** Resolves when all processes answer. @throws Error with the end of the log of one that does not */
  readonly untilReady: () => Promise<void>;
  /** Resolves when all processes answer now, and rejects otherwise. */
  readonly ask: () => Promise<void>;
};

/** A part that runs elsewhere. */
export function givenPart(address: string): Part {
  return { address, processes: [], untilReady: async () => undefined, ask: async () => undefined };
}

const POLL_MS = 50;

/** Resolves when `check` does; a process that ends before, or a time-out, is an error with the end of its log. */
export async function untilHealthy(
  process: ManagedProcess,
  timeoutMs: number,
  check: () => Promise<void>,
): Promise<void> {
  const endsMs = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      const hasEnded = process.state === "stopped";
      if (!hasEnded && performance.now() < endsMs) {
        await sleep(POLL_MS);
        continue;
      }
      const what = hasEnded ? "ended at once" : `was not ready after ${Math.round(timeoutMs / 1_000)} s`;
      throw new Error(`${process.spec.name} ${what}; the end of ${process.spec.logFile}:\n${process.logTail()}`, {
        cause: error,
      });
    }
  }
}

/** Below what the system gives to outgoing connections: those would take a port between our look and its user's start. */
const FIRST_PORT = 10_240;
const LAST_PORT = 31_999;
const BLOCK = 64;
const BLOCKS = (LAST_PORT + 1 - FIRST_PORT) / BLOCK;
/** Near the golden section of BLOCKS, and without a divisor in common. */
const STRIDE = 211;
let nextPort = firstPortOf(process.pid);

/**
 * Where a process begins to look. Processes that look at the same time have numbers that follow each other: they begin far from each
 * other, as one that takes more than a block must not come to a port that its neighbour has found free and is about to use.
 */
export function firstPortOf(pid: number): number {
  return FIRST_PORT + ((pid * STRIDE) % BLOCKS) * BLOCK;
}

/** Ports on loopback that are free now, and that this process has not named before. @throws Error when all are taken */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let looks = FIRST_PORT; ports.length < count; looks += 1) {
    if (looks > LAST_PORT) throw new Error(`no ports are free from ${FIRST_PORT} to ${LAST_PORT}`);
    const port = nextPort;
    nextPort = port === LAST_PORT ? FIRST_PORT : port + 1;
    if (!(await isPortTaken(port, "127.0.0.1"))) ports.push(port);
  }
  return ports;
}

/** True when something listens on the port already. */
export function isPortTaken(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(true));
    server.listen(port, host, () => server.close(() => resolve(false)));
  });
}
