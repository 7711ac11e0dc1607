/** `make bench-mesh`: the mesh, everything on, against bare grpc-js in the same run, as ratios. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Authority } from "@ordermesh/local/certificates";
import { readCommandLine } from "@ordermesh/runtime/command-line";
import { medianOf } from "@ordermesh/test/averages";
import { type Group, plotOf } from "./plot.ts";

const HELP = `Usage: make bench-mesh ARGS="[--rounds 3] [--seconds 3] [--tls] [--short] [--others] [--plot FILE]"

Calls echo servers (286 bytes each way) with bare grpc-js and its round_robin, with the mesh over grpc-js channels and with the
mesh over its own connection, in turn (--others: with nice-grpc and connect-node too), and prints medians and ratios as markdown: 64 calls at a time, one at a time, one server
of three 20 times slower, and one of three frozen. --tls: mutual TLS for all of them. --short: the first two only. --plot: the ratios as an SVG too.
`;

type Kind = "bare" | "nice-grpc" | "connect-node" | "grpc-js" | "http2";
const NAMES: Readonly<Record<Kind, string>> = {
  bare: "bare grpc-js, round_robin",
  "nice-grpc": "nice-grpc, round_robin",
  "connect-node": "connect-node, in turn",
  "grpc-js": "mesh over grpc-js",
  http2: "mesh over http2",
};
type Result = { calls: number; failures: number; tookS: number; cpuUs: number; p50Ms: number; p99Ms: number };
type Server = { readonly child: ChildProcess; readonly address: string };
type Measured = {
  readonly scenario: Scenario;
  readonly servers: readonly Server[];
  readonly results: Readonly<Record<Kind, Result[]>>;
};
type Scenario = { title: string; delaysMs: number[]; wide: number; isOneFrozen?: boolean };

const SCENARIOS: readonly Scenario[] = [
  { title: "two servers, 64 calls at a time", delaysMs: [0, 0], wide: 64 },
  { title: "two servers, one call at a time", delaysMs: [0, 0], wide: 1 },
  { title: "three servers of 5 ms, 20 calls at a time", delaysMs: [5, 5, 5], wide: 20 },
  { title: "one of three 20 times slower", delaysMs: [5, 5, 100], wide: 20 },
  { title: "two healthy of 5 ms", delaysMs: [5, 5], wide: 20 },
  { title: "one of three frozen", delaysMs: [5, 5, 5], wide: 20, isOneFrozen: true },
];

const { values } = readCommandLine(
  {
    options: {
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "3" },
      tls: { type: "boolean", default: false },
      short: { type: "boolean", default: false },
      others: { type: "boolean", default: false },
      plot: { type: "string" },
      help: { type: "boolean" },
    },
  },
  HELP,
);
const kinds = (Object.keys(NAMES) as Kind[]).filter(
  (kind) => values.others || (kind !== "nice-grpc" && kind !== "connect-node"),
);
if (values.help) process.stdout.write(HELP);
else {
  const security = values.tls ? "mutual TLS" : "no TLS";
  process.stdout.write(
    `${cpus().length} cores, Node ${process.versions.node}, ${security}, median of ${values.rounds} rounds\n`,
  );
  if (values.tls) process.env.BENCH_CERTIFICATES = await certify();
  const scenarios = values.short ? SCENARIOS.slice(0, 2) : SCENARIOS;
  const measured = await measure(scenarios, Number(values.rounds), values.seconds);
  for (const { scenario, results } of measured) print(scenario.title, results);
  if (values.plot !== undefined)
    writeFileSync(
      values.plot,
      plotOf(measured.map(groupOf), "Clients against bare grpc-js: CPU of a call, calls answered"),
    );
}

/** Resolves with the folder that holds a folder for each service; servers and clients inherit it. */
async function certify(): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), "bench-"));
  const authority = await Authority.create(join(dir, "certificates"));
  for (const service of ["echo", "bench"]) await authority.issue(service);
  return join(dir, "certificates");
}

/** Round by round through all scenarios, so that what is compared was measured within the same minute; a line of progress for each. */
async function measure(scenarios: readonly Scenario[], rounds: number, seconds: string): Promise<Measured[]> {
  const measured = await Promise.all(
    scenarios.map(async (scenario): Promise<Measured> => {
      const servers = await Promise.all(scenario.delaysMs.map(startServer));
      const results = Object.fromEntries(kinds.map((kind) => [kind, []])) as unknown as Measured["results"];
      return { scenario, servers, results };
    }),
  );
  try {
    for (let round = 1; round <= rounds; round += 1)
      for (const { scenario, servers, results } of measured) {
        process.stderr.write(`round ${round} of ${rounds}: ${scenario.title}\n`);
        const addresses = servers.map(({ address }) => address).join(",");
        for (const kind of kinds) results[kind].push(await runClient(kind, addresses, scenario, seconds, servers));
      }
  } finally {
    for (const { servers } of measured) for (const { child } of servers) child.kill("SIGKILL");
  }
  return measured;
}

async function startServer(delayMs: number): Promise<Server> {
  const child = spawn(process.execPath, [script("server.ts"), String(delayMs)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return { child, address: await firstLine(child) };
}

async function runClient(
  kind: Kind,
  addresses: string,
  { wide, isOneFrozen }: Scenario,
  seconds: string,
  servers: readonly Server[],
): Promise<Result> {
  const args = [script("client.ts"), kind, addresses, String(wide), seconds];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const frozen = isOneFrozen ? servers.at(-1)?.child : undefined;
  const timer = setTimeout(() => frozen?.kill("SIGSTOP"), 800); // While the client still warms up, its connections made.
  const line = await firstLine(child);
  clearTimeout(timer);
  frozen?.kill("SIGCONT");
  return JSON.parse(line) as Result;
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("no output");
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  return line;
}

function groupOf({ scenario, results }: Measured): Group {
  const ratio = (kind: Kind, value: (result: Result) => number) =>
    medianOf(results[kind].map(value)) / medianOf(results.bare.map(value));
  const bars = kinds.map((kind) => ({
    client: NAMES[kind],
    cpu: ratio(kind, ({ cpuUs }) => cpuUs),
    answered: ratio(kind, perSecond),
  }));
  return { title: scenario.title, bars };
}

function print(title: string, results: Measured["results"]): void {
  const of = (kind: Kind, value: (result: Result) => number) => medianOf(results[kind].map(value));
  process.stdout.write(
    `\n**${title}**\n\n| client | CPU µs a call | × | answered/s | × | p50 ms | p99 ms | failed |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n`,
  );
  for (const kind of kinds) {
    const ratio = (value: (result: Result) => number) => (of(kind, value) / of("bare", value)).toFixed(2);
    const figures = [
      of(kind, ({ cpuUs }) => cpuUs).toFixed(0),
      ratio(({ cpuUs }) => cpuUs),
      of(kind, perSecond).toFixed(0),
      ratio(perSecond),
      of(kind, ({ p50Ms }) => p50Ms).toFixed(2),
      of(kind, ({ p99Ms }) => p99Ms).toFixed(2),
      of(kind, ({ failures }) => failures),
    ];
    process.stdout.write(`| ${NAMES[kind]} | ${figures.join(" | ")} |\n`);
  }
}

function perSecond({ calls, failures, tookS }: Result): number {
  return (calls - failures) / tookS;
}

function script(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}
