/** What the demo kills and when, from a seed. Pure. */

/** `kill`: SIGKILL from outside. `point`: the process kills itself at its worst moment. Parts are started again after a while. */
export type Kill =
  | { readonly kind: "kill"; readonly process: string; readonly atMs: number }
  | { readonly kind: "point"; readonly process: string; readonly point: string; readonly atMs: number }
  | { readonly kind: "part"; readonly process: string; readonly atMs: number; readonly awayMs: number };

const SERVICES = ["inventory-1", "payment-1", "order-1", "shipping-1", "notification-1", "storefront-1"];
const PARTS = ["kafka-1", "etcd-1"];
/** Where a crash hurts most: between an effect and the knowledge of it. */
const POINTS: readonly (readonly [string, string])[] = [
  ["payment-1", "payment.captured"],
  ["notification-1", "consumer.polled"],
  ["notification-1", "consumer.committed"],
  ["shipping-1", "consumer.handled"],
  ["order-1", "order.acceptSent"],
  ["order-1", "relay.acked"],
];
const PART_AWAY_MS = 3_000;

const ALL = [
  ...SERVICES.map((process) => ({ kind: "kill" as const, process })),
  ...POINTS.map(([process, point]) => ({ kind: "point" as const, process, point })),
  ...PARTS.map((process) => ({ kind: "part" as const, process, awayMs: PART_AWAY_MS })),
];

/** How many it takes until each has come once. */
export const ALL_KILLS = ALL.length;

/** One kill in each of `count` equal slots of the time, in a seeded order in which none comes again before all others, at a seeded place in its slot. */
export function planKills(durationMs: number, count: number, random: () => number): Kill[] {
  const rounds = Array.from({ length: Math.ceil(count / ALL_KILLS) }, () => shuffle(ALL, random));
  const kills = rounds.flat().slice(0, count);
  const slotMs = durationMs / kills.length;
  return kills.map((kill, index) => ({ ...kill, atMs: Math.round((index + random() * 0.8) * slotMs) }));
}

function shuffle<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}
