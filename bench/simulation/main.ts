/** `make bench-simulation`: how the balancers share out load among hundreds of servers, and what the registry costs at 10,000 instances. */
import { seeded } from "@ordermesh/mesh/seeded";
import { readCommandLine } from "@ordermesh/runtime/command-line";
import { type Algorithm, simulate } from "./balance.ts";
import { costOf, ETCD_EVENTS_PER_SECOND } from "./fan-out.ts";

const HELP = `Usage: make bench-simulation ARGS="[--seed 1] [--seconds 10]"

Simulates 100 clients of 100 servers with the mesh's own balancers, and the registry's fan-out. The same seed prints the same.
`;
const ALGORITHMS: readonly Algorithm[] = ["least-loaded-of-two", "round-robin", "consistent-hash"];
const FLEETS = [
  { instances: 100, services: 10 },
  { instances: 1_000, services: 100 },
  { instances: 10_000, services: 1_000 },
];

const { values } = readCommandLine(
  {
    options: {
      seed: { type: "string", default: "1" },
      seconds: { type: "string", default: "10" },
      help: { type: "boolean" },
    },
  },
  HELP,
);
if (values.help) process.stdout.write(HELP);
else {
  printBalance(Number(values.seed), Number(values.seconds));
  printRegistry(Number(values.seed));
}

function say(cells: readonly (string | number)[]): void {
  process.stdout.write(`| ${cells.join(" | ")} |\n`);
}

function printBalance(seed: number, seconds: number): void {
  process.stdout.write("**100 clients, 100 servers of 4 workers, calls of 10 ms, 60 % of what they can do**\n\n");
  say(["balancing", "endpoints of a client", "servers 5 × slower", "busiest server / mean", "p50 ms", "p99 ms"]);
  say(Array.from({ length: 6 }, () => "---"));
  for (const slowShare of [0, 0.1])
    for (const algorithm of ALGORITHMS)
      for (const isSubset of [false, true]) {
        const of = { clients: 100, servers: 100, algorithm, isSubset, slowShare, seconds, seed };
        const { maxToMean, p50Ms, p99Ms } = simulate(of);
        say([
          algorithm,
          isSubset ? 20 : 100,
          slowShare * 100,
          maxToMean.toFixed(2),
          p50Ms.toFixed(1),
          p99Ms.toFixed(0),
        ]);
      }
}

function printRegistry(seed: number): void {
  process.stdout.write(
    `\n**The registry while everything restarts within ten minutes, three etcd members of ${ETCD_EVENTS_PER_SECOND} events a second each**\n\n`,
  );
  say([
    "instances",
    "services",
    "a client watches",
    "lease renewals /s",
    "events /s",
    "MB/s from etcd",
    "KB/s a client",
    "applied by all p50 ms",
    "p99 ms",
    "MB in a client",
  ]);
  say(Array.from({ length: 10 }, () => "---"));
  for (const fleet of FLEETS)
    for (const isNarrow of [false, true]) {
      const cost = costOf({ ...fleet, isNarrow }, seeded(seed));
      say([
        fleet.instances,
        fleet.services,
        isNarrow ? "5 services" : "all (today)",
        cost.leasesPerSecond.toFixed(0),
        cost.eventsPerSecond.toFixed(0),
        cost.megabytesPerSecond.toFixed(2),
        cost.kilobytesPerClientAndSecond.toFixed(2),
        cost.convergenceP50Ms.toFixed(1),
        cost.convergenceP99Ms.toFixed(0),
        cost.megabytesPerClient.toFixed(2),
      ]);
    }
}
