/** Times and numbers of a report in words. Pure. */

/** `+42 s` from the beginning, minutes and seconds from two minutes on: `+3:05 min`. */
export function offset(atMs: number, fromMs: number): string {
  const seconds = Math.round((atMs - fromMs) / 1_000);
  if (seconds < 120) return `+${seconds} s`;
  return `+${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} min`;
}

/** `41.3 s` up to a minute, then minutes and seconds. */
export function duration(ms: number): string {
  if (ms < 60_000) return `${tell(ms / 1_000)} s`;
  return offset(ms, 0).slice(1);
}

/** With as many digits as say something: three or so. */
export function tell(value: number): string {
  return String(value >= 100 ? Math.round(value) : Number(value.toPrecision(3)));
}

/** `2026-11-26 23:19:12 UTC`. */
export function utc(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 19)} UTC`;
}
