/** Puts fault rules into the etcd of a system under test, through etcd's HTTP gateway, as an operator would with etcdctl. */

export type Fault = {
  readonly service: string;
  readonly share: number;
  readonly delayMs?: number;
  readonly abort?: string;
};

/** What every call inside the system meets: one attempt of twenty fails, and as many wait for 100 ms. */
export const CALL_FAULTS: readonly Fault[] = ["order", "inventory", "payment"].flatMap((service) => [
  { service, share: 0.05, abort: "unavailable" },
  { service, share: 0.05, delayMs: 100 },
]);

/** They end by themselves after `lifeMs`, an hour at most. @throws Error when etcd does not take them */
export async function putFaults(etcd: string, faults: readonly Fault[], lifeMs: number): Promise<void> {
  const [member = ""] = etcd.split(",");
  for (const [index, fault] of faults.entries()) {
    const rule = { schemaVersion: 1, ...fault, expiresAtMs: Date.now() + lifeMs };
    const body = { key: base64(`/ordermesh/faults/test-${index}`), value: base64(JSON.stringify(rule)) };
    const response = await fetch(`${member}/v3/kv/put`, {
      method: "POST",
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(5_000),
    });
    if (!response.ok) throw new Error(`etcd answers ${response.status}`);
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
