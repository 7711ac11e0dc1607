/** Faults that signals make: processes are killed, stopped, frozen and starved. They are our children and end with us. */
import { setTimeout as sleep } from "node:timers/promises";
import { parametersOf } from "@ordermesh/chaos/action";
import { actedOn, type Fault } from "@ordermesh/chaos/fault";
import type { TargetStatus } from "@ordermesh/chaos/status";
import type { Processes } from "./processes.ts";

/** A part that was killed is started again after this long, as a StatefulSet would; services do so by themselves. */
const PART_AWAY_MS = 1_000;
/** How long a process that is stopped for an outage may take. */
const STOP_GRACE_MS = 5_000;
const STARVE_PERIOD_MS = 200;
const LOOKS = 4;
const LOOK_PAUSE_MS = 47;

/** One process after another is killed, or asked to stop first; each is started again. */
export function killFault(processes: Processes): Fault {
  const isReplaced = async (target: TargetStatus) =>
    !processes.isSame(target) && processes.isGone(target) && (await processes.isReady(target.name));
  return {
    inject: async (target, { spec }) => {
      const { gracePeriodSeconds } = parametersOf(spec.action, "PodKill");
      if (!processes.isSame(target)) return;
      const process = processes.process(target);
      if (gracePeriodSeconds > 0) {
        void process.stop(gracePeriodSeconds * 1_000).then(() => process.start());
        return;
      }
      const ended = process.exited();
      process.kill();
      await ended;
      if (processes.isPart(target)) void sleep(PART_AWAY_MS).then(() => process.start());
    },
    heal: async () => undefined, // What restarts it is there all the time.
    isHealed: async (target) =>
      processes.isSame(target) ? target.state === "Planned" : await processes.isReady(target.name),
    evidence: async (targets) => {
      const replaced = await Promise.all(actedOn(targets).map(isReplaced));
      const observed = replaced.filter(Boolean).length;
      return { expected: targets.length, observed, detail: `${observed} processes are gone and others are ready` };
    },
  };
}

/** Processes are away for the whole time. */
export function outageFault(processes: Processes): Fault {
  const stopping = new Map<string, Promise<void>>();
  return {
    inject: async (target) => {
      if (!processes.isSame(target)) return;
      const stopped = processes.process(target).stop(STOP_GRACE_MS);
      stopping.set(target.name, stopped);
      await stopped;
    },
    heal: async ({ name }) => {
      await stopping.get(name);
      processes.process({ name }).start();
    },
    isHealed: ({ name }) => processes.isReady(name),
    evidence: async (targets) => {
      const away = actedOn(targets).filter(
        (target) => processes.isGone(target) && processes.process(target).state === "stopped",
      );
      return { expected: targets.length, observed: away.length, detail: `${away.length} processes are away` };
    },
    forget: () => stopping.clear(),
  };
}

/** Processes stand still with their connections open. */
export function freezeFault(processes: Processes): Fault {
  return {
    inject: async (target) => processes.process(target).freeze(),
    heal: async (target) => processes.process(target).thaw(),
    isHealed: async (target) => !(await processes.isStopped(target)) && (await processes.isReady(target.name)),
    evidence: async (targets) => {
      const stopped = await Promise.all(actedOn(targets).map((target) => processes.isStopped(target)));
      const observed = stopped.filter(Boolean).length;
      return { expected: targets.length, observed, detail: `${observed} processes stand still` };
    },
  };
}

type Starving = { readonly timer: NodeJS.Timeout; looks: number; stopped: number; readonly wanted: number };

/** Processes run for a share of each 200 ms, and stand still for the rest. */
export function starveFault(processes: Processes): Fault {
  const starving = new Map<string, Starving>();
  const stop = (name: string) => {
    clearInterval(starving.get(name)?.timer);
    processes.process({ name }).thaw();
  };
  return {
    inject: async ({ name }, { spec }) => {
      const { cpuPercent } = parametersOf(spec.action, "Starve");
      if (starving.has(name)) return;
      const turn = () => {
        processes.process({ name }).thaw();
        setTimeout(
          () => {
            if (starving.has(name)) processes.process({ name }).freeze();
          },
          (STARVE_PERIOD_MS * cpuPercent) / 100,
        );
      };
      const wanted = (1 - cpuPercent / 100) / 2;
      starving.set(name, { timer: setInterval(turn, STARVE_PERIOD_MS), looks: 0, stopped: 0, wanted });
    },
    heal: async ({ name }) => {
      stop(name);
      starving.delete(name);
      await sleep(STARVE_PERIOD_MS); // The turn that was under way must not be the last.
      stop(name);
    },
    isHealed: async (target) => !(await processes.isStopped(target)) && (await processes.isReady(target.name)),
    evidence: async (targets) => {
      const seen = actedOn(targets).flatMap(({ name }) => starving.get(name) ?? []);
      for (let look = 0; look < LOOKS; look += 1) {
        await Promise.all([...starving].map(([name, own]) => lookAt(processes, name, own)));
        await sleep(LOOK_PAUSE_MS);
      }
      const observed = seen.filter(({ looks, stopped, wanted }) => looks > 0 && stopped / looks >= wanted).length;
      const detail = seen.map(({ looks, stopped }) => `stood still in ${stopped} of ${looks} looks`).join(", ");
      return { expected: targets.length, observed, detail };
    },
  };
}

async function lookAt(processes: Processes, name: string, own: Starving): Promise<void> {
  own.looks += 1;
  if (await processes.isStopped({ name })) own.stopped += 1;
}
