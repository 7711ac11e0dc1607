/** The command behind `make start`, `make reset`, `make doctor` and the tests' parts. Exit codes: 0, 1 failed, 2 wrong use or preflight. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Parts, prepareParts, startParts, stopParts } from "./parts.ts";
import { describeSources, findProblems, readState } from "./preflight.ts";
import { withDeathSignal } from "./process.ts";
import { progressTo } from "./progress.ts";
import { chooseSources, findTools } from "./sources.ts";
import { ROOT, System, writeState } from "./system.ts";

const HELP = `Usage: node packages/local/src/main.ts <command>

  start                    start the whole system; Ctrl-C stops it (default)
  doctor                   say where etcd, Kafka and PostgreSQL would come from, and what is missing
  reset                    drop the data that start keeps
  with-parts -- COMMAND    run COMMAND with a fresh etcd, Kafka and PostgreSQL in its environment

Environment:
  MESH_HTTP_PORT       port of the shop (default 8080)
  MESH_ETCD_ENDPOINTS, MESH_KAFKA_BROKERS, MESH_POSTGRES_URL
                       use these instead of starting one; PostgreSQL's user must be allowed to create databases
`;

const cacheDir = join(ROOT, ".cache");
const dir = join(cacheDir, "local");
const stateFile = join(dir, "system.json");
const env = { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "" };
const httpPort = Number(process.env.MESH_HTTP_PORT ?? 8080);
mkdirSync(dir, { recursive: true });

const [command = "start", ...rest] = process.argv.slice(2);
const commands: Record<string, () => Promise<number>> = {
  start,
  doctor,
  reset,
  "with-parts": withParts,
  "--help": help,
  help,
};
const chosen = commands[command];
if (chosen === undefined) process.stderr.write(`${command} is no command\n\n${HELP}`);
process.exit(chosen === undefined ? 2 : await chosen().catch(report));

async function start(): Promise<number> {
  const sources = chooseSources(findTools(process.env, cacheDir));
  const running = readState(stateFile);
  const problems =
    running === undefined
      ? await findProblems({ sources, httpPort, dir, nodeVersion: process.versions.node })
      : [`Ordermesh runs already at ${running.url} (process ${running.pid}).`];
  if (problems.length > 0) {
    process.stderr.write(`${problems.join("\n")}\n`);
    return 2;
  }
  const startedMs = performance.now();
  const stop = new AbortController();
  const stopAsked = once(stop.signal, "abort");
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort());
  const serviceEnv = { MESH_ENVIRONMENT: process.env.MESH_ENVIRONMENT ?? "dev" };
  const system = await System.start({
    dir,
    cacheDir,
    sources,
    progress: progressTo(process.stdout),
    env,
    httpPort,
    serviceEnv,
    signal: stop.signal,
  });
  writeState(stateFile, system.state);
  process.stdout.write(welcome(system, (performance.now() - startedMs) / 1_000));
  await stopAsked;
  process.stdout.write("\nStopping …\n");
  writeState(stateFile, undefined);
  await system.stop();
  process.stdout.write("Stopped; the data is kept. `make reset` drops it.\n");
  return 0;
}

async function doctor(): Promise<number> {
  const sources = chooseSources(findTools(process.env, cacheDir));
  const problems = await findProblems({ sources, httpPort, dir, nodeVersion: process.versions.node });
  process.stdout.write(`${describeSources(sources).join("\n")}\n`);
  process.stdout.write(problems.length === 0 ? "\nNothing is missing: `make start`.\n" : `\n${problems.join("\n")}\n`);
  return problems.length === 0 ? 0 : 2;
}

async function reset(): Promise<number> {
  const running = readState(stateFile);
  if (running !== undefined) {
    process.stderr.write(`Ordermesh runs at ${running.url} (process ${running.pid}): stop it first.\n`);
    return 2;
  }
  rmSync(dir, { recursive: true, force: true });
  process.stdout.write("The data and the logs are gone; what was built or fetched is kept.\n");
  return 0;
}

async function withParts(): Promise<number> {
  const [program, ...args] = rest[0] === "--" ? rest.slice(1) : rest;
  if (program === undefined) {
    process.stderr.write(HELP);
    return 2;
  }
  const sources = chooseSources(findTools(process.env, cacheDir));
  const folder = mkdtempSync(join(cacheDir, "parts-"));
  chmodSync(folder, 0o755); // PostgreSQL may run as another user.
  try {
    const parts = await prepareParts({ dir: folder, cacheDir, sources, progress: progressTo(process.stderr), env });
    await startParts(parts);
    const code = await runWith(parts, program, args);
    await stopParts(parts);
    return code;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runWith({ etcd, kafka, postgres }: Parts, program: string, args: readonly string[]): Promise<number> {
  const addresses = {
    MESH_ETCD_ENDPOINTS: etcd.address,
    MESH_KAFKA_BROKERS: kafka.address,
    MESH_POSTGRES_URL: postgres.address,
  };
  const [first, ...others] = withDeathSignal(program, args);
  const child = spawn(first, others, { stdio: "inherit", env: { ...process.env, ...addresses } });
  process.on("SIGINT", () => undefined); // Ctrl-C reaches the program as well, and it ends.
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  return new Promise((resolve) => {
    child.on("error", () => resolve(127));
    child.on("exit", (code) => resolve(code ?? 1));
  });
}

async function help(): Promise<number> {
  process.stdout.write(HELP);
  return 0;
}

function report(error: unknown): number {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return 1;
}

function welcome({ url, logDir, state }: System, seconds: number): string {
  const admin = Object.entries(state.adminUrls).map(([name, address]) => `  ${name.padEnd(16)} ${address}/metrics`);
  return `
Ready after ${seconds.toFixed(1)} s.

  Shop     ${url}
  API      ${url}/openapi.json
  Logs     ${logDir}

${admin.join("\n")}

Place an order:

  curl -s ${url}/api/orders -H 'Content-Type: application/json' -H "Idempotency-Key: $(date +%s)" -d '
  {"email":"ada@example.com","shipTo":{"name":"Ada Lovelace","street":"12 St James Square","city":"London","postalCode":"SW1Y 4JH","country":"GB"},
   "lines":[{"sku":"MUG-1","quantity":1}],"paymentToken":"tok_visa"}'

Ctrl-C stops everything.
`;
}
