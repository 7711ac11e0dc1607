/** The load generator has no environment: its options are arguments, listed by `--help`. */
import type { parseArgs } from "node:util";

export const OPTIONS = {
  url: { type: "string", default: "http://127.0.0.1:8080" },
  orders: { type: "string", default: "1000" },
  rate: { type: "string", default: "20" },
  seed: { type: "string", default: "1" },
  history: { type: "string" },
  tag: { type: "string", default: "load" },
  plain: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  serve: { type: "boolean", default: false },
  host: { type: "string", default: "127.0.0.1" },
  port: { type: "string", default: "8090" },
  "history-dir": { type: "string" },
  help: { type: "boolean", default: false },
} as const;

export type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];

export const HELP = `Usage: node services/loadgen/src/main.ts [options]

Places orders at a fixed rate, whether or not the system keeps up, and records what the client saw.

  --url URL          the storefront (default ${OPTIONS.url.default})
  --orders N         how many orders, 1 to 1000000 (default ${OPTIONS.orders.default})
  --rate N           orders a second, 0.1 to 5000 (default ${OPTIONS.rate.default})
  --seed N           decides products, cards and arrival times (default ${OPTIONS.seed.default})
  --tag TEXT         begins all idempotency keys, so that two runs do not share any (default ${OPTIONS.tag.default})
  --plain            only orders that should be confirmed: no declines, no repeats
  --history FILE     where the record goes, JSON lines
  --json             progress and summary as JSON lines

  --serve            places nothing by itself; runs are started over HTTP, see the README
  --host HOST        address that the API listens on (default ${OPTIONS.host.default})
  --port N           its port; 0 takes a free one (default ${OPTIONS.port.default})
  --history-dir DIR  where the records of runs go, one file each (default: a new folder for temporary files)
`;

/** Everything that is wrong with the options, a sentence each. */
export function findProblems(values: Values): string[] {
  const [orders, ratePerS, seed, port] = [values.orders, values.rate, values.seed, values.port].map(Number) as [
    number,
    number,
    number,
    number,
  ];
  return [
    ...(Number.isInteger(orders) && orders >= 1 && orders <= 1_000_000
      ? []
      : ["--orders must be a whole number from 1 to 1000000"]),
    ...(ratePerS >= 0.1 && ratePerS <= 5_000 ? [] : ["--rate must be 0.1 to 5000"]),
    ...(Number.isInteger(seed) ? [] : ["--seed must be a whole number"]),
    ...(Number.isInteger(port) && port >= 0 && port <= 65_535 ? [] : ["--port must be a whole number from 0 to 65535"]),
    ...(URL.canParse(values.url) ? [] : ["--url must be a URL"]),
  ];
}
