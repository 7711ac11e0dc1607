/** What to order and when, from a seed: the same seed gives the same orders after the same pauses. Pure. */
import type { OrderMix } from "@ordermesh/chaos/order-mix";
import { seeded } from "@ordermesh/mesh/seeded";

export type Card = "tok_visa" | "tok_declined" | "tok_slow" | "tok_timeout_after_charge" | "tok_error_after_charge";

export type PlannedOrder = {
  /** Time since the order before, in mean pauses: 1 at 20 orders a second is 50 ms. */
  readonly pause: number;
  readonly key: string;
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
  readonly card: Card;
  /** Ask again with the same key and body once it is answered. */
  readonly isReplayed: boolean;
  /** Ask again with the same key and another body. */
  readonly isReused: boolean;
  /** Read it after it was acknowledged. */
  readonly isRead: boolean;
};

export type Plan = {
  readonly seed: number;
  /** Begins all keys. */
  readonly tag: string;
  readonly orders: OrderMix;
};

const SKUS = ["CABLE-1", "CAP-1", "LAMP-1", "MUG-1", "NOTE-1", "PEN-1", "PLANT-1", "POSTER-1", "SOCKS-1", "TOTE-1"];
/** Cumulative shares of cards that do not simply pay. */
const CARDS: readonly (readonly [number, Card])[] = [
  [0.05, "tok_declined"],
  [0.06, "tok_timeout_after_charge"],
  [0.08, "tok_error_after_charge"],
  [0.1, "tok_slow"],
];

/** Orders without an end. Arrivals are a Poisson process: independent customers. */
export function* planOrders({ seed, tag, orders }: Plan): Generator<PlannedOrder, never> {
  const isMixed = orders === "Mixed";
  const usual = orders === "Slow" ? "tok_slow" : "tok_visa";
  const random = seeded(seed);
  for (let index = 0; ; index += 1) {
    const pause = -Math.log(1 - random());
    const chance = random();
    const card = (isMixed ? CARDS.find(([share]) => chance < share)?.[1] : undefined) ?? usual;
    yield {
      pause,
      key: `${tag}-${seed}-${index}`,
      lines: pickLines(random, isMixed),
      card,
      isReplayed: isMixed && random() < 0.02,
      isReused: isMixed && random() < 0.01,
      isRead: random() < 0.2,
    };
  }
}

/** One to three products; now and then one that is scarce or gone. */
function pickLines(random: () => number, isMixed: boolean): PlannedOrder["lines"] {
  const chance = random();
  if (isMixed && chance < 0.03) return [{ sku: "GONE-1", quantity: 1 }];
  if (isMixed && chance < 0.06) return [{ sku: "SCARCE-1", quantity: 1 }];
  const first = Math.floor(random() * SKUS.length);
  const count = 1 + Math.floor(random() * (isMixed ? 3 : 2));
  return Array.from({ length: count }, (_, offset) => ({
    sku: SKUS[(first + offset * 3) % SKUS.length] ?? "MUG-1",
    quantity: 1 + Math.floor(random() * 3),
  }));
}
