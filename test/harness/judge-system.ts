/** The verdict about a system at rest: its ledgers, its registry, and what its instances say. */
import type { Operation } from "@ordermesh/judge/history";
import { judge, type Verdict } from "@ordermesh/judge/invariants";
import { readConverged } from "@ordermesh/judge/mesh-reader";
import type { World } from "@ordermesh/judge/world";
import type { SystemState } from "@ordermesh/local/system";

/** Waits until registry and policy are what they should be, or for as long as a lease may take; the judge says which. */
export async function judgeSystem(
  { etcd, adminUrls }: Pick<SystemState, "etcd" | "adminUrls">,
  history: readonly Operation[],
  world: World,
): Promise<Verdict> {
  const mesh = await readConverged({ etcd: etcd.split(","), adminUrls: Object.values(adminUrls) });
  return judge(history, mesh === undefined ? world : { ...world, mesh });
}
