/** The certificates of a benchmark with TLS, from the folder that its main process names. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Undefined without TLS. */
export function folderOf({ BENCH_CERTIFICATES: dir }: NodeJS.ProcessEnv, service: string): string | undefined {
  return dir === undefined ? undefined : join(dir, service);
}

export function readCertificates(env: NodeJS.ProcessEnv, service: string) {
  const dir = folderOf(env, service);
  if (dir === undefined) return undefined;
  const read = (name: string) => readFileSync(join(dir, name));
  return { ca: read("ca.crt"), key: read("tls.key"), cert: read("tls.crt") };
}
