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

/** Ports on loopback that are free now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise<typeof server>((resolve, reject) => {
        server.once("error", reject);
        server.listen(0, "127.0.0.1", () => resolve(server));
      });
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
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
