/** Which version of a service a call goes to: routes first, then the split. Pure. */

import type { Random } from "./clock.ts";
import { hash32 } from "./hash.ts";
import type { Policy } from "./policy.ts";

/** Undefined when the policy names no version for the call: any will do. */
export function chooseVersion(
  { routes, split }: Pick<Policy, "routes" | "split">,
  headers: Readonly<Record<string, string>>,
  random: Random,
): string | undefined {
  for (const { header, equals, prefix, version } of routes) {
    const value = headers[header];
    if (value !== undefined && (value === equals || (prefix !== undefined && value.startsWith(prefix)))) return version;
  }
  if (split === undefined) return undefined;
  const sticky = split.stickyHeader === undefined ? undefined : headers[split.stickyHeader];
  let point = (sticky === undefined ? random() : hash32(sticky) / 4_294_967_296) * 100;
  const weights = Object.entries(split.weights);
  for (const [version, weight] of weights) {
    point -= weight;
    if (point < 0) return version;
  }
  return weights.findLast(([, weight]) => weight > 0)?.[0];
}
