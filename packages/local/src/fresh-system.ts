/** A whole system of its own for a test or a chaos run: fresh data under .cache/, failpoints allowed. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Progress, silent } from "./progress.ts";
import { chooseSources, findTools } from "./sources.ts";
import { ROOT, System, type SystemOptions } from "./system.ts";

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
    | "links"
    | "signal"
  >
> & { readonly progress?: Progress };

/** Starts a system named `name`; what an earlier run left there is dropped, what this run leaves stays for a look at its logs. `env` tells where the parts' programs are. */
export function startFreshSystem(
  name: string,
  env: Readonly<Record<string, string | undefined>>,
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
