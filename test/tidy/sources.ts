/** Reads the tracked tree for the tidy tests: which files there are and what they say. Knows no rule. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Absolute path of the repository, with a trailing slash. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** One file of the tree; `path` is relative to the repository. */
export type SourceFile = { readonly path: string; readonly text: string };

/** Every file that git tracks or would track, without generated code and lock files. */
export function listFiles(): SourceFile[] {
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: ROOT });
  return [...new Set(listed.toString().split("\n"))]
    .filter((path) => path !== "" && !path.startsWith("proto/gen/") && !path.endsWith("package-lock.json"))
    .flatMap((path) => {
      const text = readIfPresent(path);
      return text === undefined ? [] : [{ path, text }];
    });
}

/** The hand-written TypeScript that runs in production: `packages` and `services`, without tests. */
export function productionFiles(files: readonly SourceFile[]): SourceFile[] {
  return files.filter(
    ({ path }) => /^(packages|services)\/[^/]+\/src\/.*\.ts$/.test(path) && !path.endsWith(".test.ts"),
  );
}

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(ROOT + path, "utf8");
  } catch {
    return undefined; // Deleted in the working tree, or a folder behind a link.
  }
}
