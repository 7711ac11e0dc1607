/** A crash point in the words of failpoints: `name=[N*]action`. Pure. */
import type { ActionOf } from "./action.ts";

/** Longer than a lease on an order and than any deadline of a call. */
const HANG_MS = 5_500;

export function failpointOf({ point, effect }: ActionOf<"CrashPoint">, times: number): string {
  return `${point}=${times}*${effect === "sleep" ? `sleep(${HANG_MS})` : effect}`;
}
