/** One child process with a log file: start, stop, kill, freeze, thaw, and restarts with back-off as a kubelet makes them. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { dirname } from "node:path";

const MIN_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 10_000;
/** A process that lived this long begins again with the shortest back-off. */
const STABLE_MS = 10_000;
const LOG_TAIL_LINES = 8;

export type ProcessSpec = {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment, nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Run as this user and group, when we are root and the program refuses root. */
  readonly user?: number;
  /** Starts it again when it ends by itself. */
  readonly restarts: boolean;
  /** The longest wait before it is started again; 10 s if not given. */
  readonly maxBackoffMs?: number;
  /** What asks it to stop. */
  readonly stopSignal?: NodeJS.Signals;
  /** How a signal reaches it when it is not our child itself, for instance in a container. */
  readonly signalCommand?: (signal: NodeJS.Signals) => readonly [string, ...string[]];
};

export type ProcessState =
  | { readonly kind: "stopped" }
  | { readonly kind: "running"; readonly child: ChildProcess; readonly sinceMs: number; readonly isFrozen: boolean }
  | { readonly kind: "stopping"; readonly child: ChildProcess }
  | { readonly kind: "backing-off"; readonly timer: NodeJS.Timeout };

export class ManagedProcess {
  readonly spec: ProcessSpec;
  #state: ProcessState = { kind: "stopped" };
  #backoffMs = MIN_BACKOFF_MS;
  #restarts = 0;
  readonly #exitListeners = new Set<() => void>();

  constructor(spec: ProcessSpec) {
    this.spec = spec;
  }

  get state(): ProcessState["kind"] {
    return this.#state.kind;
  }

  get pid(): number | undefined {
    return "child" in this.#state ? this.#state.child.pid : undefined;
  }

  /** How often it was started again after it had ended by itself or by `kill`. */
  get restarts(): number {
    return this.#restarts;
  }

  start(): void {
    if (this.#state.kind === "running" || this.#state.kind === "stopping") return;
    if (this.#state.kind === "backing-off") clearTimeout(this.#state.timer);
    const { logFile, env, user } = this.spec;
    mkdirSync(dirname(logFile), { recursive: true });
    const log = openSync(logFile, "a");
    const [command, ...args] = withDeathSignal(this.spec.command, this.spec.args);
    const identity = user === undefined ? {} : { uid: user, gid: user };
    // In a session of its own, so that Ctrl-C reaches only us and we stop all in order.
    const child = spawn(command, args, { env, stdio: ["ignore", log, log], detached: true, ...identity });
    closeSync(log);
    child.on("error", () => this.#ended(child));
    child.on("exit", () => this.#ended(child));
    this.#state = { kind: "running", child, sinceMs: performance.now(), isFrozen: false };
  }

  /** SIGKILL; a process that restarts is started again after its back-off. */
  kill(): void {
    this.#signal("SIGKILL");
  }

  freeze(): void {
    this.#signal("SIGSTOP");
  }

  thaw(): void {
    this.#signal("SIGCONT");
  }

  /** Asks it to stop and kills it after `graceMs`; resolves when it has ended. It is not started again. */
  async stop(graceMs = 20_000): Promise<void> {
    if (this.#state.kind === "backing-off") {
      clearTimeout(this.#state.timer);
      this.#state = { kind: "stopped" };
    }
    if (this.#state.kind !== "running") return;
    const { child } = this.#state;
    this.#state = { kind: "stopping", child };
    const ended = this.exited();
    this.#send(child, "SIGCONT");
    this.#send(child, this.spec.stopSignal ?? "SIGTERM");
    const timer = setTimeout(() => this.#send(child, "SIGKILL"), graceMs);
    await ended;
    clearTimeout(timer);
  }

  async restart(): Promise<void> {
    await this.stop();
    this.start();
  }

  /** Resolves at the next end of the process. */
  exited(): Promise<void> {
    return new Promise((resolve) => {
      const listener = () => {
        this.#exitListeners.delete(listener);
        resolve();
      };
      this.#exitListeners.add(listener);
    });
  }

  /** The last lines of its log file, for messages. */
  logTail(): string {
    try {
      return readFileSync(this.spec.logFile, "utf8").trimEnd().split("\n").slice(-LOG_TAIL_LINES).join("\n");
    } catch {
      return "";
    }
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#state.kind === "running") this.#send(this.#state.child, signal);
  }

  #send(child: ChildProcess, signal: NodeJS.Signals): void {
    const command = this.spec.signalCommand?.(signal);
    if (command === undefined) child.kill(signal);
    else execFileSync(command[0], command.slice(1), { stdio: "ignore" });
  }

  #ended(child: ChildProcess): void {
    if (!("child" in this.#state) || this.#state.child !== child) return;
    const last = this.#state;
    this.#state = { kind: "stopped" };
    if (last.kind === "running" && this.spec.restarts) this.#backOff(performance.now() - last.sinceMs);
    for (const listener of this.#exitListeners) listener();
  }

  #backOff(livedMs: number): void {
    if (livedMs >= STABLE_MS) this.#backoffMs = MIN_BACKOFF_MS;
    const timer = setTimeout(() => {
      this.#restarts += 1;
      this.start();
    }, this.#backoffMs);
    this.#state = { kind: "backing-off", timer };
    this.#backoffMs = Math.min(this.#backoffMs * 2, this.spec.maxBackoffMs ?? MAX_BACKOFF_MS);
  }
}

let hasDeathSignal: boolean | undefined;

/**
 * The command so that the kernel kills it should we be killed (util-linux `setpriv --pdeathsig`); where there is no such
 * setpriv, that net is missing.
 */
export function withDeathSignal(command: string, args: readonly string[]): [string, ...string[]] {
  hasDeathSignal ??= hasSetpriv();
  return hasDeathSignal ? ["setpriv", "--pdeathsig", "KILL", command, ...args] : [command, ...args];
}

function hasSetpriv(): boolean {
  try {
    return execFileSync("setpriv", ["--help"]).includes("--pdeathsig");
  } catch {
    return false;
  }
}
