/** Waits until the system is at rest, so that delay is not taken for loss: nothing open, nothing unsent, nothing unconsumed. */
import { setTimeout as sleep } from "node:timers/promises";
import { withoutEffect } from "./invariants.ts";
import { type Databases, readWorld } from "./ledgers.ts";
import type { World } from "./world.ts";

const POLL_MS = 500;

export type Rest = {
  readonly world: World;
  readonly isAtRest: boolean;
  readonly open: readonly string[];
  readonly waitedMs: number;
};

/** `onProgress` gets what is still open, each time it looks. Resolves at the latest after `timeoutMs`. */
export async function quiesce(
  databases: Databases,
  timeoutMs: number,
  onProgress: (open: readonly string[]) => void,
): Promise<Rest> {
  const startedMs = performance.now();
  for (;;) {
    const world = await readWorld(databases).catch(() => undefined); // A part may still be coming back.
    const waitedMs = performance.now() - startedMs;
    const open = world === undefined ? ["a database does not answer"] : whatIsOpen(world);
    onProgress(open);
    if (world !== undefined && (open.length === 0 || waitedMs >= timeoutMs))
      return { world, isAtRest: open.length === 0, open, waitedMs };
    if (waitedMs >= timeoutMs * 2) throw new Error(`the system did not come to rest: ${open.join(", ")}`);
    await sleep(POLL_MS);
  }
}

/** What is still to happen, in words; empty at rest. Pure. */
export function whatIsOpen(world: World): string[] {
  const { orders, deliveries, unpublished } = world;
  const unhandled = withoutEffect(world).length;
  const deciding = orders.filter(({ state }) => !["CONFIRMED", "CANCELLED", "NEEDS_ATTENTION"].includes(state)).length;
  const shipping = orders.filter(({ state, shipment }) => state === "CONFIRMED" && shipment !== "SHIPPED").length;
  const delivered = new Set(deliveries.map(({ orderId, kind }) => `${orderId} ${kind}`));
  const untold = orders.filter(({ orderId, state }) => {
    if (state === "CANCELLED") return !delivered.has(`${orderId} ORDER_CANCELLED`);
    return (
      state === "CONFIRMED" &&
      !(delivered.has(`${orderId} ORDER_CONFIRMED`) && delivered.has(`${orderId} ORDER_SHIPPED`))
    );
  }).length;
  return [
    ...(deciding > 0 ? [`${deciding} orders undecided`] : []),
    ...(shipping > 0 ? [`${shipping} not shipped`] : []),
    ...(untold > 0 ? [`${untold} customers not told`] : []),
    ...(unpublished > 0 ? [`${unpublished} events unsent`] : []),
    ...(unhandled > 0 ? [`${unhandled} events not handled`] : []),
  ];
}
