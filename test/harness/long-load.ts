/** How long and how hard a system is loaded: the options that soak and endurance have in common. */
import { readCommandLine } from "@ordermesh/runtime/command-line";

export type LongLoad = {
  readonly minutes: number;
  /** Orders a second. */
  readonly rate: number;
  readonly seed: number;
  /** Those of the program's own that are set. */
  readonly flags: readonly string[];
};

/** What the command line asks for; or the exit code when nothing is to be run: 0 after the help, 3 after it for wrong use. */
export function readLongLoad(help: string, flags: readonly string[] = []): LongLoad | 0 | 3 {
  const { values } = readCommandLine(
    {
      options: {
        ...Object.fromEntries(flags.map((flag) => [flag, { type: "boolean" as const, default: false }])),
        minutes: { type: "string", default: "30" },
        rate: { type: "string", default: "20" },
        seed: { type: "string", default: "1" },
        help: { type: "boolean", default: false },
      },
    },
    help,
  );
  const [minutes, rate, seed] = [Number(values.minutes), Number(values.rate), Number(values.seed)];
  if (values.help) {
    process.stdout.write(`${help}\n`);
    return 0;
  }
  const isSet: Readonly<Record<string, unknown>> = values;
  if (minutes > 0 && rate > 0 && Number.isInteger(seed)) {
    return { minutes, rate, seed, flags: flags.filter((flag) => isSet[flag] === true) };
  }
  process.stderr.write(help);
  return 3;
}
