/** The offline checker: a recorded history against the ledgers. Exit codes: 0 Passed, 1 Failed, 2 Inconclusive, 3 wrong use. */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { parseHistory } from "./history.ts";
import { judge } from "./invariants.ts";
import { readWorld } from "./ledgers.ts";
import { exitCodeOf, renderVerdict } from "./report.ts";

const HELP = `Usage: node packages/judge/src/main.ts --history FILE --state FILE [--json]

  --history FILE   the client's record, JSON lines (loadgen --history)
  --state FILE     JSON with "databases": service to URL (.cache/local/system.json of a running system)
  --json           the verdict as JSON
`;

const { values } = parseArgs({
  options: {
    history: { type: "string" },
    state: { type: "string" },
    json: { type: "boolean" },
    help: { type: "boolean" },
  },
});
if (values.help) {
  process.stdout.write(HELP);
} else if (values.history === undefined || values.state === undefined) {
  process.stderr.write(HELP);
  process.exitCode = 3;
} else {
  const history = parseHistory(readFileSync(values.history, "utf8"));
  const { databases } = JSON.parse(readFileSync(values.state, "utf8"));
  const verdict = judge(history, await readWorld(databases));
  process.stdout.write(
    values.json ? `${JSON.stringify(verdict, null, 2)}\n` : renderVerdict(verdict, process.stdout.isTTY),
  );
  process.exitCode = exitCodeOf(verdict);
}
