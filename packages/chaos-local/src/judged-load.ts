/** Orders while something happens, and the judge's word on them when everything has come to rest. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Finding } from "@ordermesh/judge/finding";
import type { Operation } from "@ordermesh/judge/history";
import type { ChaosSystem } from "./chaos-system.ts";

const POLL_MS = 500;
/** The longest until everything that is on its way has come to rest. */
const REST_TIMEOUT_MS = 120_000;

export type Load = { readonly ratePerSecond: number; readonly seed: number };
export type JudgedLoad<Result> = {
  /** What came of what happened meanwhile. */
  readonly result: Result;
  readonly history: readonly Operation[];
  readonly findings: readonly Finding[];
};

/** Orders flow from before `meanwhile` begins until it ends. @throws Error when the customers' record is lost */
export async function judgedLoad<Result>(
  { workload, judge, clock }: ChaosSystem["ports"],
  load: Load,
  meanwhile: () => Promise<Result>,
): Promise<JudgedLoad<Result>> {
  const name = randomUUID();
  const sinceMs = clock.wallMs();
  await workload.start({ name, ...load, orders: "Mixed" });
  const result = await meanwhile();
  await workload.finish(name);
  await untilRest(judge, sinceMs);
  const history = await workload.history(name);
  if (history === undefined) throw new Error("the customers' record is lost");
  return { result, history, findings: await judge.judge(history, sinceMs) };
}

/** Resolves at the latest after two minutes: what does not come to rest by then is for the invariants to name. */
async function untilRest(judge: ChaosSystem["ports"]["judge"], sinceMs: number): Promise<void> {
  const endsMs = performance.now() + REST_TIMEOUT_MS;
  for (;;) {
    const open = await judge.open(sinceMs).catch((error: unknown) => [String(error)]);
    if (open.length === 0 || performance.now() > endsMs) return;
    await sleep(POLL_MS);
  }
}
