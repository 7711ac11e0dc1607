/** A time of an exponential distribution: between events that come at random, or of work. */
export function exponential(mean: number, random: () => number): number {
  return -Math.log(1 - random()) * mean;
}
