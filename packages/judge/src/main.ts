/** The offline checker: a recorded history against the ledgers. Exit codes: 0 Passed, 1 Failed, 2 Inconclusive, 3 wrong use. */
import { readFileSync } from "node:fs";
import { readCommandLine } from "@ordermesh/runtime/command-line";
import { parseHistory } from "./history.ts";
import { judge } from "./invariants.ts";
import { readWorld } from "./ledgers.ts";
import { readConverged } from "./mesh-reader.ts";
import { exitCodeOf, renderVerdict } from "./report.ts";
import type { World } from "./world.ts";

const HELP = `Usage: node packages/judge/src/main.ts --history FILE --state FILE [--etcd HOST:PORT,... --admin URL,...] [--json]

  --history FILE   the client's record, JSON lines (loadgen --history)
  --state FILE     JSON with "databases": service to URL (.cache/local/system.json of a running system)
  --etcd HOSTS     etcd of the system, to judge ConfigConverged and RegistryTruth too; with --admin
  --admin URLS     admin servers of all its instances
  --json           the verdict as JSON
`;

const { values } = readCommandLine(
  {
    options: {
      history: { type: "string" },
      state: { type: "string" },
      etcd: { type: "string" },
      admin: { type: "string" },
      json: { type: "boolean" },
      help: { type: "boolean" },
    },
  },
  HELP,
);
if (values.help) {
  process.stdout.write(HELP);
} else if (
  values.history === undefined ||
  values.state === undefined ||
  (values.etcd === undefined) !== (values.admin === undefined)
) {
  process.stderr.write(HELP);
  process.exitCode = 3;
} else {
  const history = parseHistory(readFileSync(values.history, "utf8"));
  const { databases } = JSON.parse(readFileSync(values.state, "utf8"));
  const mesh = await readMeshIfGiven();
  const world = await readWorld(databases);
  const verdict = judge(history, mesh === undefined ? world : { ...world, mesh });
  process.stdout.write(
    values.json ? `${JSON.stringify(verdict, null, 2)}\n` : renderVerdict(verdict, process.stdout.isTTY),
  );
  process.exitCode = exitCodeOf(verdict);
}

async function readMeshIfGiven(): Promise<World["mesh"]> {
  const { etcd, admin } = values;
  if (etcd === undefined || admin === undefined) return undefined;
  return await readConverged({ etcd: etcd.split(","), adminUrls: admin.split(",") });
}
