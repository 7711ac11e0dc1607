/** What an order costs: CPU by process from /proc, statements and calls from the processes' own metrics. Linux only. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { System } from "@ordermesh/local/system";

const TICKS_PER_S = Number(execFileSync("getconf", ["CLK_TCK"]));

/** Labels that tell two counts of a metric apart. */
const TELLING =
  /(?:db_operation_name|rpc_method|rpc_response_status_code|server_address|attempt|cause|messaging_destination_name)="([^"]*)"/g;

/** Seconds of CPU by process name, with all threads and, for PostgreSQL, all its children. */
export type CpuSeconds = ReadonlyMap<string, number>;

export function readCpu(system: System, others: Readonly<Record<string, number>>): CpuSeconds {
  const pids = system.names.flatMap((name) => {
    const { pid } = system.process(name);
    return pid === undefined ? [] : [[name, pid] as const];
  });
  const children = childrenOf();
  return new Map([...pids, ...Object.entries(others)].map(([name, pid]) => [name, cpuOfTree(pid, children)]));
}

/** Sums of counters and counts of histograms by name and the labels that tell them apart. */
export async function readCounts(system: System): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const [name, url] of Object.entries(system.state.adminUrls)) {
    const text = await (await fetch(`${url}/metrics`)).text();
    for (const [, metric = "", labels = "", value = ""] of text.matchAll(
      /^(db_client_operation_duration_seconds|rpc_client_call_duration_seconds|mesh_client_attempts|mesh_server_calls_shed|messaging_client_sent_messages|messaging_client_consumed_messages)(?:_count|_total)\{([^}]*)\} (\S+)$/gm,
    )) {
      const telling = [...labels.matchAll(TELLING)].map(([, value]) => value);
      const key = [...metric.split("_").slice(0, 2), name.replace(/-\d+$/, ""), ...telling].join(" ");
      counts.set(key, (counts.get(key) ?? 0) + Number(value));
    }
  }
  return counts;
}

export function difference(
  after: ReadonlyMap<string, number>,
  before: ReadonlyMap<string, number>,
): [string, number][] {
  return [...after]
    .map(([key, value]): [string, number] => [key, value - (before.get(key) ?? 0)])
    .filter(([, value]) => value > 0);
}

function childrenOf(): ReadonlyMap<number, number[]> {
  const children = new Map<number, number[]>();
  for (const line of execFileSync("ps", ["-eo", "pid=,ppid="]).toString().trim().split("\n")) {
    const [pid = 0, parent = 0] = line.trim().split(/\s+/).map(Number);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  return children;
}

function cpuOfTree(pid: number, children: ReadonlyMap<number, number[]>): number {
  const own = cpuOf(pid);
  return (children.get(pid) ?? []).reduce((sum, child) => sum + cpuOfTree(child, children), own);
}

/** User and system time of a process and of its children that have ended. */
function cpuOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index] ?? 0), 0) / TICKS_PER_S;
  } catch {
    return 0;
  }
}
