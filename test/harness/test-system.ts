/** A whole system of its own for a test: fresh data under .cache/, failpoints allowed. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { env } from "node:process";
import type { Progress } from "@ordermesh/local/progress";
import { silent } from "@ordermesh/local/progress";
import { chooseSources, findTools } from "@ordermesh/local/sources";
import { ROOT, System, type SystemOptions } from "@ordermesh/local/system";

type Options = Partial<
  Pick<
    SystemOptions,
    | "replicas"
    | "maxBackoffMs"
    | "entries"
    | "envOf"
    | "delayMs"
    | "kafkaNodes"
    | "etcdMembers"
    | "serviceEnv"
    | "certificates"
  >
> & { readonly progress?: Progress };

/** Starts a system named `name`; what an earlier run left there is dropped, what this run leaves stays for a look at its logs. */
export function startTestSystem(
  name: string,
  { serviceEnv, progress = silent, ...options }: Options = {},
): Promise<System> {
  const cacheDir = join(ROOT, ".cache");
  const dir = join(cacheDir, "runs", name);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  const found = findTools(env, cacheDir);
  return System.start({
    dir,
    cacheDir,
    sources: chooseSources({ ...found, addresses: {} }), // Parts of its own: they are going to be killed.
    env: { PATH: env.PATH ?? "", HOME: env.HOME ?? "" },
    httpPort: 0,
    progress,
    serviceEnv: { MESH_ENVIRONMENT: "test", ...serviceEnv },
    ...options,
  });
}
