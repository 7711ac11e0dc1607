/** Which share of its calls a server refuses because its event loop is late by its own work. Pure. */

/** Windows that are looked at. */
export const WINDOW_MS = 500;
/** A late loop for this long is overload and no hiccup. */
const LATE_WINDOWS = 4;
const LATE_MS = 100;
/** Below this the loop is late because the process gets too little CPU, and refusing its few calls would not help. */
const BUSY = 0.7;
const MORE = 0.1;
const LESS = 0.05;
/** Some calls go on being served, or it would never be seen that they are served in time again. */
const MAX_SHARE = 0.9;

export class LoopShedding {
  #late = 0;
  #share = 0;

  /** Share of the calls to refuse, 0 to 0.9. */
  get share(): number {
    return this.#share;
  }

  /** The 99th percentile of the loop's delay in the window that has ended, and the share of the window in which it had a CPU. */
  learn(p99Ms: number, cpuShare: number): void {
    this.#late = p99Ms > LATE_MS && cpuShare > BUSY ? this.#late + 1 : 0;
    if (this.#late === 0) this.#share = Math.max(0, this.#share - LESS);
    else if (this.#late >= LATE_WINDOWS || this.#share > 0) this.#share = Math.min(MAX_SHARE, this.#share + MORE);
  }
}
