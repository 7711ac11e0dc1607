/** The load generator has no environment: its options are arguments, listed by `--help`. */
export const OPTIONS = {
  url: { type: "string", default: "http://127.0.0.1:8080" },
  orders: { type: "string", default: "1000" },
  rate: { type: "string", default: "20" },
  seed: { type: "string", default: "1" },
  history: { type: "string" },
  tag: { type: "string", default: "load" },
  plain: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

export const HELP = `Usage: node services/loadgen/src/main.ts [options]

Places orders at a fixed rate, whether or not the system keeps up, and records what the client saw.

  --url URL        the storefront (default ${OPTIONS.url.default})
  --orders N       how many orders, 1 to 1000000 (default ${OPTIONS.orders.default})
  --rate N         orders a second, 0.1 to 5000 (default ${OPTIONS.rate.default})
  --seed N         decides products, cards and arrival times (default ${OPTIONS.seed.default})
  --tag TEXT       begins all idempotency keys, so that two runs do not share any (default ${OPTIONS.tag.default})
  --plain          only orders that should be confirmed: no declines, no repeats, no reads
  --history FILE   where the record goes, JSON lines
  --json           progress and summary as JSON lines
`;
