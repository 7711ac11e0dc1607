/** What is built or fetched into the cache: made once, however many systems of this process start at the same time. */
import { existsSync } from "node:fs";

const making = new Map<string, Promise<void>>();

/** Resolves with `path` when it is there; `make` has to put it there whole, as another process may make it too. */
export async function madeOnce(path: string, make: () => Promise<void>): Promise<string> {
  if (existsSync(path)) return path;
  const made = making.get(path) ?? make().finally(() => making.delete(path));
  making.set(path, made);
  await made;
  return path;
}
