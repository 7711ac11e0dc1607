#!/usr/bin/env node
/**
 * `meshctl`: looks into a mesh, sets its policy and runs experiments. Exit codes: 0 done, 1 the answer is no, 2 wrong use, 3 etcd
 * does not answer; of `chaos run` 0 Passed, 1 Failed, 2 Inconclusive, 3 wrong use.
 */
import { readFileSync } from "node:fs";
import { isKind } from "@ordermesh/mesh/errors";
import { EtcdDocuments } from "@ordermesh/mesh/etcd-documents";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import type { ChaosContext } from "./chaos-commands.ts";
import { type Context, EXIT } from "./context.ts";
import { parseDuration } from "./duration.ts";
import { addFault, clearFaults, listFaults } from "./fault-commands.ts";
import { showEndpoints, showStatus, watch } from "./look-commands.ts";
import { type Format, Output } from "./output.ts";
import { deletePolicy, getPolicy, putPolicy, rollBack, showHistory, validatePolicy } from "./policy-commands.ts";

/** The longest that a timer waits. */
const FOREVER_MS = 2 ** 31 - 1;
const { MESH_ETCD_ENDPOINTS, MESH_ETCD_PREFIX = "/ordermesh" } = process.env;

type ChaosCommands = typeof import("./chaos-commands.ts");
type Global = { readonly etcd: string; readonly prefix: string; readonly output: string };

await yargs(hideBin(process.argv))
  .scriptName("meshctl")
  .usage("$0 COMMAND\n\nLooks into a mesh through its etcd, and sets traffic policy and faults.")
  .options({
    etcd: {
      type: "string",
      default: MESH_ETCD_ENDPOINTS ?? localEtcd(),
      describe: "etcd's client addresses (MESH_ETCD_ENDPOINTS)",
    },
    prefix: { type: "string", default: MESH_ETCD_PREFIX, describe: "what all keys start with (MESH_ETCD_PREFIX)" },
    output: { choices: ["table", "json"], default: "table", describe: "for people or for programs" },
  })
  .command(
    "endpoints [service]",
    "who is registered",
    (args) => args.positional("service", { type: "string" }),
    (args) => run(args, (context) => showEndpoints(context, args.service)),
  )
  .command(
    "status",
    "which instance applies which revision of the policy; exit code 1 when one is behind or silent",
    {},
    (args) => run(args as unknown as Global, showStatus),
  )
  .command(
    "watch [what]",
    "a line for each change, until Ctrl-C",
    (args) =>
      args
        .positional("what", { choices: ["endpoints", "policy", "faults"] as const, default: "endpoints" as const })
        .option("for", { type: "string", describe: "stop after a while, such as 10s" }),
    (args) =>
      run(args, (context) => watch(context, args.what, args.for === undefined ? FOREVER_MS : parseDuration(args.for))),
  )
  .command("policy", "traffic policy: get, set, validate, delete, history, rollback", policyCommands)
  .command("faults", "faults injected into calls: add, list, clear", faultCommands)
  .command("chaos", "experiments: run and fuzz on this machine, report of a cluster", chaosCommands)
  .completion("completion", "prints a script for the shell: meshctl completion >> ~/.bashrc")
  .demandCommand(1, "Name a command; --help lists them.")
  .strict()
  .wrap(Math.min(120, process.stdout.columns ?? 120))
  .fail((message, error) => {
    process.stderr.write(`${message ?? error.message}\n\nmeshctl --help shows how it is used.\n`);
    process.exit(hideBin(process.argv)[0] === "chaos" ? EXIT.unreachable : EXIT.usage); // 2 is Inconclusive there.
  })
  .parseAsync();

function policyCommands(args: ReturnType<typeof yargs>) {
  const service = { type: "string", demandOption: true, describe: "a service, or `default` for all" } as const;
  const file = { type: "string", demandOption: true, describe: "a JSON document; - reads standard input" } as const;
  return args
    .command(
      "get [service]",
      "a service's document, or a list of all",
      (own) => own.positional("service", { type: "string" }),
      (own) => run(own as unknown as Global, (context) => getPolicy(context, own.service)),
    )
    .command(
      "set <service> <file>",
      "checks a document and makes it the service's policy",
      (own) =>
        own.positional("service", service).positional("file", file).option("if-revision", {
          type: "number",
          describe: "only while the document has this revision; 0: while there is none",
        }),
      (own) =>
        run(own as unknown as Global, (context) => putPolicy(context, own.service, own.file, own["if-revision"])),
    )
    .command(
      "validate <file>",
      "checks a document without a mesh",
      (own) => own.positional("file", file),
      (own) => run(own as unknown as Global, async ({ output }) => validatePolicy(output, own.file)),
    )
    .command(
      "delete <service>",
      "takes the policy away: what is built in holds again",
      (own) => own.positional("service", service),
      (own) => run(own as unknown as Global, (context) => deletePolicy(context, own.service)),
    )
    .command(
      "history <service>",
      "the last 20 documents, when they were set and by whom",
      (own) => own.positional("service", service),
      (own) => run(own as unknown as Global, (context) => showHistory(context, own.service)),
    )
    .command(
      "rollback <service>",
      "sets the document before the last again",
      (own) =>
        own
          .positional("service", service)
          .option("to", { type: "number", describe: "number of an entry of the history" }),
      (own) => run(own as unknown as Global, (context) => rollBack(context, own.service, own.to)),
    )
    .demandCommand(1, "Name what to do with policies; meshctl policy --help lists it.");
}

function faultCommands(args: ReturnType<typeof yargs>) {
  return args
    .command(
      "add",
      "delays or aborts a share of the attempts to a service, for a while",
      (own) =>
        own.options({
          service: { type: "string", demandOption: true, describe: "the service that is called" },
          method: { type: "string", describe: "one method only, such as Charge" },
          caller: { type: "string", describe: "calls of one service only" },
          share: { type: "number", default: 1, describe: "share of the attempts, 0 to 1" },
          delay: { type: "string", describe: "pause before an attempt, such as 100ms" },
          abort: { type: "string", describe: "kind of the error instead of an attempt, such as unavailable" },
          for: { type: "string", default: "1m", describe: "how long, an hour at most" },
          name: { type: "string", describe: "to clear it by" },
        }),
      (own) =>
        run(own as unknown as Global, (context) => {
          const { service, method, caller, share, delay, abort, name } = own;
          return addFault(context, { service, method, caller, share, delay, abort, for: own.for, name });
        }),
    )
    .command("list", "faults and how long they still last", {}, (own) => run(own as unknown as Global, listFaults))
    .command(
      "clear [name]",
      "ends one fault, or all",
      (own) => own.positional("name", { type: "string" }),
      (own) => run(own as unknown as Global, (context) => clearFaults(context, own.name)),
    )
    .demandCommand(1, "Name what to do with faults; meshctl faults --help lists it.");
}

function chaosCommands(args: ReturnType<typeof yargs>) {
  return args
    .command(
      "run <files..>",
      "runs experiments one after another on systems of their own on this machine; exit code 0 when all Passed, 1 when one Failed, 2 when one is Inconclusive, 3 for wrong use",
      (own) =>
        own
          .positional("files", {
            type: "string",
            array: true,
            demandOption: true,
            describe: "files as kubectl applies them, or folders of them",
          })
          .options({
            systems: {
              type: "number",
              default: 1,
              describe: "run so many systems at a time, each with a share of the files",
            },
            junit: { type: "string", describe: "file for the results as JUnit XML" },
            report: { type: "string", describe: "folder for the reports: JSON, JUnit XML and a page" },
          }),
      (own) => {
        const { files, systems, junit, report } = own;
        return chaos(own as unknown as Global, ({ runFiles }, context) =>
          runFiles(context, { files, systems, junit, report }),
        );
      },
    )
    .command(
      "fuzz [files..]",
      "composes faults of the experiments by a seed until the time is over or an invariant is broken; what breaks one is made small and written as a file; exit code 1 then, 2 when none was found to be broken and one could not be looked at, 3 for wrong use",
      (own) =>
        own
          .positional("files", {
            type: "string",
            array: true,
            default: ["k8s/chaos"],
            describe: "files of experiments, or folders of them",
          })
          .options({
            seed: { type: "number", default: 1, describe: "of the first schedule; each further one takes the next" },
            minutes: { type: "number", default: 10, describe: "no schedule is begun after that" },
            out: { type: "string", default: ".cache/chaos/found.yaml", describe: "file for what was found" },
          }),
      (own) => {
        const { files, seed, minutes, out } = own;
        return chaos(own as unknown as Global, ({ fuzzFiles }, context) =>
          fuzzFiles(context, { files, seed, minutes, out }),
        );
      },
    )
    .command(
      "report <name>",
      "the report of an experiment on a cluster: as JSON, or with --dir as files, one of them a page for a browser",
      (own) =>
        own.positional("name", { type: "string", demandOption: true, describe: "the experiment" }).options({
          namespace: { type: "string", alias: "n", default: "ordermesh", describe: "where it is" },
          context: { type: "string", describe: "of the kubeconfig; the current one if not given" },
          dir: { type: "string", describe: "folder that the files go to" },
        }),
      async (own) => {
        const { showReport } = await import("./report-command.ts");
        const write = (text: string) => void process.stdout.write(text);
        process.exitCode = await showReport(own, write).catch((error: unknown) => {
          process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
          return EXIT.unreachable;
        });
      },
    )
    .demandCommand(1, "Name what to do with experiments; meshctl chaos --help lists it.");
}

/** Loaded only here, as it brings the parts of a whole system. */
async function chaos(
  { output }: Global,
  command: (commands: ChaosCommands, context: ChaosContext) => Promise<number>,
): Promise<void> {
  const commands = await import("./chaos-commands.ts");
  const stop = new AbortController();
  process.once("SIGINT", () => {
    process.stderr.write("Healing and stopping; Ctrl-C again ends everything at once.\n");
    process.once("SIGINT", () => process.exit(EXIT.unreachable)); // Children end with us.
    stop.abort();
  });
  process.once("SIGTERM", () => stop.abort());
  const write = (text: string) => void process.stdout.write(text);
  const context = { env: process.env, progress: process.stderr, signal: stop.signal };
  try {
    process.exitCode = await command(commands, { ...context, output: new Output(output as Format, write) });
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exitCode = EXIT.unreachable;
  }
  process.exit(); // Everything has been stopped; a start that was given up may still wait for answers.
}

async function run({ etcd, prefix, output }: Global, command: (context: Context) => Promise<number>): Promise<void> {
  const endpoints = etcd.split(",");
  const documents = new EtcdDocuments(endpoints);
  try {
    const write = (text: string) => void process.stdout.write(text);
    process.exitCode = await command({ documents, endpoints, prefix, output: new Output(output as Format, write) });
  } catch (error) {
    process.exitCode = report(error, etcd);
  } finally {
    documents.close();
  }
}

function report(error: unknown, etcd: string): number {
  if (isKind(error, "unavailable")) {
    process.stderr.write(`etcd does not answer at ${etcd}: name it with --etcd or MESH_ETCD_ENDPOINTS.\n`);
    return EXIT.unreachable;
  }
  if (isKind(error, "invalid", "not-found", "conflict")) {
    const lines = error.violations.map(({ field, description }) => `  ${field || "the document"}: ${description}`);
    process.stderr.write(`${error.message}\n${lines.length > 1 ? `${lines.join("\n")}\n` : ""}`);
    return EXIT.no;
  }
  const isUsage = error instanceof RangeError || (error as NodeJS.ErrnoException).code === "ENOENT";
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  return isUsage ? EXIT.usage : EXIT.no;
}

/** Of the system that `make start` runs in this folder, or etcd's usual address. */
function localEtcd(): string {
  try {
    return JSON.parse(readFileSync(".cache/local/system.json", "utf8")).etcd;
  } catch {
    return "http://127.0.0.1:2379";
  }
}
