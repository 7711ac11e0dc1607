/** `meshctl endpoints`, `status` and `watch`: what there is, and who applies which policy. */
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "@ordermesh/mesh/clock";
import { type Endpoint, parseEndpoint } from "@ordermesh/mesh/endpoint";
import { connectEtcd } from "@ordermesh/mesh/etcd";
import { createMeshMetrics } from "@ordermesh/mesh/metrics";
import { Registry } from "prom-client";
import { type Context, EXIT } from "./context.ts";

const ASK_TIMEOUT_MS = 2_000;
const AT_A_TIME = 20;

async function endpointsOf({ documents, prefix }: Context, service: string | undefined): Promise<Endpoint[]> {
  const found = await documents.list(`${prefix}/endpoints/${service === undefined ? "" : `${service}/`}`);
  return found.map(({ key, value }) => parseEndpoint(key, value));
}

export async function showEndpoints(context: Context, service: string | undefined): Promise<number> {
  const rows = (await endpointsOf(context, service)).map((endpoint) => ({
    service: endpoint.service,
    instance: endpoint.instance,
    address: endpoint.address,
    version: endpoint.version,
    zone: endpoint.zone,
    weight: endpoint.weight,
    admin: endpoint.adminAddress,
  }));
  context.output.rows(
    rows,
    service === undefined ? "Nothing is registered." : `No instance of ${service} is registered.`,
  );
  return rows.length > 0 ? EXIT.ok : EXIT.no;
}

/** Exit code 0 when every registered instance applies the newest policy. */
export async function showStatus(context: Context): Promise<number> {
  const { documents, prefix, output } = context;
  const [policies, history] = await Promise.all([
    documents.list(`${prefix}/policy/`),
    documents.list(`${prefix}/policy-history/`), // A deletion leaves no policy behind, but an entry here.
  ]);
  const newest = [...policies, ...history].reduce((max, { revision }) => (revision > max ? revision : max), 0n);
  const waiting = await endpointsOf(context, undefined);
  const rows: { service: string; instance: string; policy: string; faults: number | string; state: string }[] = [];
  const ask = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      rows.push(await statusOf(next, newest));
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, ask));
  rows.sort((a, b) => (a.instance < b.instance ? -1 : 1));
  output.rows(rows, "Nothing is registered.");
  return rows.length > 0 && rows.every(({ state }) => state === "current") ? EXIT.ok : EXIT.no;
}

async function statusOf({ service, instance, adminAddress }: Endpoint, newest: bigint) {
  try {
    const response = await fetch(`http://${adminAddress}/debug/mesh`, { signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
    const { policy } = (await response.json()) as { policy: { revision: string; faults: unknown[] } };
    const state = BigInt(policy.revision) >= newest ? "current" : "behind";
    return { service, instance, policy: policy.revision, faults: policy.faults.length, state };
  } catch {
    return { service, instance, policy: "", faults: "", state: `no answer from ${adminAddress}` };
  }
}

/** A line for each change under `<prefix>/<what>/`, until `forMs` is over or a signal comes. */
export async function watch({ endpoints, prefix, output }: Context, what: string, forMs: number): Promise<number> {
  const log = { debug() {}, info() {}, warn: warnOf(), error: warnOf() };
  const metrics = createMeshMetrics(new Registry(), systemClock);
  const store = connectEtcd({ endpoints, clock: systemClock, random: Math.random, log, metrics });
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  const folder = `${prefix}/${what}/`;
  let before: ReadonlyMap<string, string> = new Map();
  store.subscribe(folder, ({ entries, revision }) => {
    for (const [change, key, value] of changesOf(before, entries)) {
      const name = key.slice(folder.length);
      output.line(
        { change, name, value, revision: String(revision) },
        `${change.padEnd(7)}  ${name}  ${value}`.trimEnd(),
      );
    }
    before = entries;
  });
  await sleep(forMs, undefined, { signal: stop.signal }).catch(() => undefined);
  store.close();
  return EXIT.ok;
}

export function changesOf(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): [change: "added" | "changed" | "removed", key: string, value: string][] {
  const put = [...after].filter(([key, value]) => before.get(key) !== value);
  return [
    ...put.map(([key, value]): ["added" | "changed", string, string] => [
      before.has(key) ? "changed" : "added",
      key,
      value,
    ]),
    ...[...before.keys()]
      .filter((key) => !after.has(key))
      .map((key): ["removed", string, string] => ["removed", key, ""]),
  ];
}

function warnOf() {
  return (_: object, message: string) => void process.stderr.write(`${message}\n`);
}
