/** Durations as people write them. */

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** `100ms`, `5s`, `10m`, `1h`, in milliseconds. @throws RangeError for anything else */
export function parseDuration(text: string): number {
  const [, amount = "", unit = ""] = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const ms = Number(amount) * (UNIT_MS[unit] ?? Number.NaN);
  if (amount === "" || !(ms > 0)) throw new RangeError(`"${text}" is no duration: write 100ms, 5s, 10m or 1h`);
  return ms;
}
