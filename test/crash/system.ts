/** The system that the crash matrix runs on: a short carrier, and small requests so that a batch has a middle. */

import { startFreshSystem } from "@ordermesh/local/fresh-system";
import type { Progress } from "@ordermesh/local/progress";
import type { System } from "@ordermesh/local/system";

/** Every case kills somebody: waiting longer and longer would only make the matrix long. */
const MAX_BACKOFF_MS = 250;

export function startCrashSystem(name: string, progress?: Progress): Promise<System> {
  const envOf = {
    order: { MESH_RELAY_CHUNK: "1" },
    shipping: { MESH_RELAY_CHUNK: "1", MESH_CARRIER_DELAY_MS: "50" },
  };
  const options = { envOf, maxBackoffMs: MAX_BACKOFF_MS };
  return startFreshSystem(name, process.env, progress === undefined ? options : { ...options, progress });
}
