/** Options of a program. A wrong one ends it with a sentence and its help, and never with a stack trace or the code of a verdict. */
import { type ParseArgsConfig, parseArgs } from "node:util";

type Parsed<T extends ParseArgsConfig> = ReturnType<typeof parseArgs<T>>;

/** Ends the process with `exitCode` when the command line has what the program does not know. */
export function readCommandLine<T extends ParseArgsConfig>(config: T, help: string, exitCode = 3): Parsed<T> {
  try {
    return parseArgs(config);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    process.exit(exitCode);
  }
}
