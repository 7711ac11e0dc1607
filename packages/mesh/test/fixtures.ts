/** What the mesh's tests share: an endpoint, fresh metrics, a log that keeps quiet, and waiting for a condition. */
import { Registry } from "prom-client";
import { systemClock } from "../src/clock.ts";
import type { Endpoint } from "../src/endpoint.ts";
import type { MeshLog } from "../src/log.ts";
import { createMeshMetrics, type MeshMetrics } from "../src/metrics.ts";

export const silent: MeshLog = { debug() {}, info() {}, warn() {}, error() {} };

export function newMetrics(): MeshMetrics {
  return createMeshMetrics(new Registry(), systemClock);
}

export function anEndpoint(instance: string, fields: Partial<Endpoint> = {}): Endpoint {
  return {
    service: "echo",
    instance,
    address: `${instance}.example:7000`,
    adminAddress: `${instance}.example:7001`,
    version: "dev",
    zone: "local",
    weight: 1,
    protocol: "grpc",
    pod: "",
    node: "",
    ...fields,
  };
}

const POLL_MS = 5;
const PATIENCE_MS = 30_000;

/** Resolves with the first value of `read` that is not undefined or false; fails naming `what` after half a minute. */
export async function eventually<T>(what: string, read: () => T | undefined | false): Promise<T> {
  const endsMs = systemClock.nowMs() + PATIENCE_MS;
  for (;;) {
    const value = read();
    if (value !== undefined && value !== false) return value;
    if (systemClock.nowMs() > endsMs) throw new Error(`never happened: ${what}`);
    await systemClock.sleep(POLL_MS);
  }
}
