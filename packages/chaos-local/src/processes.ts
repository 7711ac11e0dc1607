/** The processes of a system as candidates for experiments: each process id is another target, as each pod is. */
import { execFile } from "node:child_process";
import type { Candidate } from "@ordermesh/chaos/backend";
import type { Instance } from "@ordermesh/chaos/instances";
import { COMPONENT_LABEL } from "@ordermesh/chaos/service-of";
import type { ManagedProcess } from "@ordermesh/local/process";
import { SERVICES } from "@ordermesh/local/services";
import type { System } from "@ordermesh/local/system";

const NAME_LABEL = "app.kubernetes.io/name";
const ASK_TIMEOUT_MS = 2_000;

/** What the target was: the process of that name had this process id. */
type Identity = Pick<Candidate, "name" | "uid">;
type Known = { readonly name: string; readonly component: string; readonly isPart: boolean };

export class Processes {
  readonly system: System;
  readonly #known: readonly Known[];

  constructor(system: System) {
    this.system = system;
    const services = SERVICES.flatMap(({ name: component }) =>
      system.instancesOf(component).map((name) => ({ name, component, isPart: false })),
    );
    const parts = Object.entries(system.parts).flatMap(([component, { processes }]) =>
      processes.map(({ spec }) => ({ name: spec.name, component, isPart: true })),
    );
    this.#known = [...services, ...parts];
  }

  /** Those with all the labels; a process has two, its component and its name as charts have them. */
  find = async (matchLabels: Readonly<Record<string, string>>): Promise<readonly Candidate[]> => {
    const matching = this.#known.filter((known) =>
      Object.entries(matchLabels).every(([label, value]) => labelsOf(known)[label] === value),
    );
    return await Promise.all(
      matching.map(async ({ name }): Promise<Candidate> => {
        const isReady = await this.isReady(name);
        return { kind: "Process", name, uid: this.uidOf(name), node: "", isReady, isProtected: false };
      }),
    );
  };

  instances = async (): Promise<readonly Instance[]> =>
    this.#known.filter(({ isPart }) => !isPart).map(({ name }) => ({ name, adminUrl: this.system.adminUrl(name) }));

  process({ name }: Pick<Candidate, "name">): ManagedProcess {
    return this.system.process(name);
  }

  isPart({ name }: Pick<Candidate, "name">): boolean {
    return this.#known.some((known) => known.name === name && known.isPart);
  }

  uidOf(name: string): string {
    return `${name}.${this.system.process(name).pid ?? 0}`;
  }

  /** Whether the process that was the target is the one that runs under its name. */
  isSame({ name, uid }: Identity): boolean {
    return this.uidOf(name) === uid;
  }

  /** Whether the process that was the target has ended, by the operating system's word. */
  isGone({ uid }: Identity): boolean {
    try {
      process.kill(Number(uid.slice(uid.lastIndexOf(".") + 1)), 0);
      return false;
    } catch {
      return true;
    }
  }

  /** Runs, and says that it is ready. */
  async isReady(name: string): Promise<boolean> {
    if (this.system.process(name).state !== "running") return false;
    const part = Object.values(this.system.parts).find(({ processes }) =>
      processes.some(({ spec }) => spec.name === name),
    );
    const asked = part === undefined ? this.#askService(name) : part.ask().then(() => true);
    return await asked.catch(() => false);
  }

  /** Whether the operating system has stopped the process, as SIGSTOP does. */
  async isStopped({ name }: Pick<Candidate, "name">): Promise<boolean> {
    const { pid } = this.system.process(name);
    if (pid === undefined) return false;
    const state = await new Promise<string>((resolve) =>
      execFile("ps", ["-o", "state=", "-p", String(pid)], (_error, stdout) => resolve(stdout.trim())),
    );
    return state.startsWith("T");
  }

  async #askService(name: string): Promise<boolean> {
    const response = await fetch(`${this.system.adminUrl(name)}/readyz`, {
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    });
    await response.text();
    return response.ok;
  }
}

function labelsOf({ component, isPart }: Known): Readonly<Record<string, string>> {
  return { [COMPONENT_LABEL]: component, [NAME_LABEL]: isPart ? component : "ordermesh" };
}
