/** Which orders the customers place: the same words in an experiment and in the load generator's API. */

/**
 * Mixed: some are declined, out of stock, repeated, or have a provider that fails or stays silent for 1.5 s. The others should all be
 * confirmed: Plain ones at once, Slow ones by a provider that takes 300 ms, so that some are always under way.
 */
export const ORDER_MIXES = ["Mixed", "Plain", "Slow"] as const;
export type OrderMix = (typeof ORDER_MIXES)[number];
