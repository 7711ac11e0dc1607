/** Processes die, fail or hang at a named place of their code, so many times in all; armed again when a process was started anew. */
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { parametersOf } from "@ordermesh/chaos/action";
import { put } from "@ordermesh/chaos/admin-ports";
import { failpointOf } from "@ordermesh/chaos/crash-spec";
import { actedOn, type Fault } from "@ordermesh/chaos/fault";
import type { Processes } from "./processes.ts";

const LOOK_EVERY_MS = 100;
const PATH = "/debug/failpoints";

type Armed = {
  readonly point: string;
  /** Bytes of the log that were there before. */
  readonly logFrom: number;
  readonly specOf: (times: number) => string;
  readonly times: number;
  pid: number | undefined;
  timer: NodeJS.Timeout | undefined;
};

export function crashFault(processes: Processes): Fault {
  const armed = new Map<string, Armed>();
  const acts = (name: string, { point, logFrom }: Armed) =>
    count(processes.process({ name }).spec.logFile, logFrom, `{"failpoint":"${point}",`);
  const allActs = () => [...armed].reduce((sum, [name, own]) => sum + acts(name, own), 0);
  const armAgain = async (name: string, own: Armed) => {
    const { pid } = processes.process({ name });
    const left = own.times - allActs();
    if (left <= 0) return await disarm(name, own);
    if (pid === undefined || pid === own.pid) return;
    await put(processes.system.adminUrl(name), PATH, own.specOf(left));
    own.pid = pid;
  };
  /** It has acted as often as it was asked to, here or in another process. */
  const disarm = async (name: string, own: Armed) => {
    if (own.pid === processes.process({ name }).pid) await put(processes.system.adminUrl(name), PATH, "");
    clearInterval(own.timer); // Not before: one that fails is tried again by the next look.
  };
  return {
    inject: async ({ name }, { spec }) => {
      const crashPoint = parametersOf(spec.action, "CrashPoint");
      const own: Armed = {
        point: crashPoint.point,
        logFrom: statSync(processes.process({ name }).spec.logFile).size,
        specOf: (times) => failpointOf(crashPoint, times),
        times: crashPoint.times,
        pid: undefined,
        timer: undefined,
      };
      armed.set(name, own);
      await armAgain(name, own);
      // A process that is starting does not listen yet: the next look arms it.
      own.timer = setInterval(() => void armAgain(name, own).catch(() => undefined), LOOK_EVERY_MS);
    },
    heal: async ({ name }) => {
      clearInterval(armed.get(name)?.timer);
      await put(processes.system.adminUrl(name), PATH, "");
    },
    isHealed: ({ name }) => processes.isReady(name), // `heal` fails until the process has taken it.
    evidence: async (targets, { spec }) => {
      const { times } = parametersOf(spec.action, "CrashPoint");
      const acted = actedOn(targets).reduce((sum, { name }) => {
        const own = armed.get(name);
        return own === undefined ? sum : sum + acts(name, own);
      }, 0);
      const observed = Math.min(times, acted);
      return { expected: targets.length === 0 ? 0 : times, observed, detail: `the point acted ${acted} times` };
    },
    forget: () => {
      for (const { timer } of armed.values()) clearInterval(timer);
      armed.clear();
    },
  };
}

/** How often the text is in the file from a byte on. */
function count(file: string, from: number, text: string): number {
  const descriptor = openSync(file, "r");
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(descriptor).size - from));
    readSync(descriptor, bytes, 0, bytes.length, from);
    return bytes.toString("utf8").split(text).length - 1;
  } finally {
    closeSync(descriptor);
  }
}
