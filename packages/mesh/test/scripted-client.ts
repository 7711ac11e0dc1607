/** A client of `echo` whose connections do as a script says, on a clock of its own. */
import { createClient } from "../src/client.ts";
import type { Clock } from "../src/clock.ts";
import type { Attempt, Connection, ConnectionState } from "../src/connection.ts";
import { endpointKey } from "../src/endpoint.ts";
import { EndpointTable } from "../src/endpoint-table.ts";
import { type ErrorKind, MeshError } from "../src/errors.ts";
import { MemoryStore } from "../src/memory-store.ts";
import { PolicyTable } from "../src/policy-table.ts";
import { Target } from "../src/target.ts";
import { ECHO, type Echo } from "./echo.ts";
import { anEndpoint, newMetrics, silent } from "./fixtures.ts";

export const failure = (kind: ErrorKind) => new MeshError(kind, `TEST_${kind.toUpperCase().replace("-", "_")}`, kind);
export const UNAVAILABLE = failure("unavailable");
export const OK: Echo = { text: "ok" };
export const ASK: Echo = { text: "?" };
export const addressesOf = (made: readonly Made[]) => made.map(({ address }) => address);
export const A = anEndpoint("a").address;
export const B = anEndpoint("b").address;

export type Outcome = Echo | MeshError;
type Made = { readonly address: string; readonly attempt: Attempt };

/** A client of `echo` at endpoints a, b, c… whose attempts end as `outcomes` say, in turn; the last one repeats. */
export async function newClient({
  outcomes = [{ text: "ok" }] as Outcome[],
  endpoints = ["a", "b"],
  attemptMs = 0,
  policy = {},
} = {}) {
  const slept: number[] = [];
  let nowMs = 1_000;
  const clock: Clock = {
    nowMs: () => nowMs,
    wallMs: () => nowMs,
    sleep: async (ms) => {
      slept.push(ms);
      nowMs += ms;
    },
  };
  const store = new MemoryStore(clock);
  const metrics = newMetrics();
  const table = new EndpointTable({ store, prefix: "/mesh", clock, log: silent, metrics });
  const add = (instance: string, fields = {}) => {
    const endpoint = anEndpoint(instance, fields);
    store.put(endpointKey("/mesh", endpoint), JSON.stringify(endpoint));
  };
  for (const instance of endpoints) add(instance);
  const policies = new PolicyTable({ store, prefix: "/mesh", clock, log: silent, metrics });
  const setPolicy = (policy: object) => store.put("/mesh/policy/echo", JSON.stringify({ schemaVersion: 1, ...policy }));
  setPolicy({ balancing: { algorithm: "round-robin" }, ...policy });
  await Promise.resolve();

  const made: Made[] = [];
  const connections: (Connection & { state: ConnectionState })[] = [];
  const connect = (address: string): Connection => {
    const connection = {
      address,
      state: "ready" as ConnectionState,
      inFlight: 0,
      unary: async (attempt: Attempt) => {
        made.push({ address, attempt });
        nowMs += attemptMs;
        const outcome = outcomes[Math.min(made.length, outcomes.length) - 1];
        if (outcome instanceof MeshError) throw outcome;
        return outcome;
      },
      async *serverStream(attempt: Attempt) {
        made.push({ address, attempt });
        for (const outcome of outcomes) {
          if (outcome instanceof MeshError) throw outcome;
          yield outcome;
        }
      },
      close() {
        connection.state = "closed";
      },
    };
    connections.push(connection);
    return connection;
  };
  const random = () => 0.5;
  const own = { caller: "shop", instance: "shop-1", zone: "", identity: undefined };
  const target = new Target("echo", { table, policies, connect, clock, random, metrics, ...own });
  const statuses = async () =>
    (await metrics.calls.get()).values
      .filter(({ metricName }) => metricName?.endsWith("_count"))
      .map(({ labels, value }) => `${labels.rpc_method} ${labels.rpc_status_code} ${value}`);
  return { client: createClient(ECHO, target), made, slept, store, add, connections, statuses, clock, metrics };
}
