/** Runs a program to its end and fails with what it said. */
import { spawn } from "node:child_process";

type Options = { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv; readonly user?: number };

/** @throws Error with the end of the program's output when it does not exit with 0 */
export function run(command: string, args: readonly string[], { cwd, env, user }: Options = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      ...(cwd === undefined ? {} : { cwd }),
      ...(env === undefined ? {} : { env }),
      ...(user === undefined ? {} : { uid: user, gid: user }),
    });
    let output = "";
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4_000);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.on("error", reject);
    child.on("exit", (code) =>
      code === 0 ? resolve() : reject(new Error(`${command} ${args.join(" ")} failed (${code}):\n${output.trim()}`)),
    );
  });
}
