/** What choosing an endpoint and looking up a policy cost, in nanoseconds. Prints one JSON line for each case. */
import { systemClock } from "@ordermesh/mesh/clock";
import { MemoryStore } from "@ordermesh/mesh/memory-store";
import type { Target } from "@ordermesh/mesh/target";
import { medianOf } from "@ordermesh/test/averages";
import { anInstance, ClientView, PREFIX, put, serviceName } from "./fleet.ts";

const ROUNDS = 7;
const CALLS = 100_000;
const SERVICE = serviceName(0);
const HEADERS = { "x-customer": "c-4711" };
const UNTRIED: ReadonlySet<string> = new Set();

/** Policies by the name of the case; every one is a document as an operator writes it. */
const POLICIES: Readonly<Record<string, object>> = {
  "least loaded of two": {},
  "own zone first": { balancing: { preferZone: true } },
  "round robin": { balancing: { algorithm: "round-robin" } },
  "hash by header": { balancing: { algorithm: "consistent-hash", hashHeader: "x-customer" } },
  "split over versions": { split: { weights: { "v1.24.3-2f9c1ab": 99.5, v2: 0.5 } } },
};

for (const [title, policy] of Object.entries(POLICIES))
  for (const endpoints of [3, 20, 50, 1_000]) {
    const view = await aView(endpoints, policy);
    const [target] = view.targets as [Target];
    const asked = { policy: target.policy("Charge"), headers: HEADERS, tried: UNTRIED };
    print({ title, endpoints, ns: await median(() => target.choose(1_000, undefined, asked)) });
  }
const { policies } = await aView(3, { split: { weights: { v1: 1 } } });
print({ title: "policy lookup", endpoints: 0, ns: await median(() => policies.of(SERVICE, "Charge")) });
process.exit(0);

async function aView(endpoints: number, policy: object): Promise<ClientView> {
  const store = new MemoryStore(systemClock);
  store.put(`${PREFIX}/policy/${SERVICE}`, JSON.stringify({ schemaVersion: 1, ...policy }));
  for (let number = 0; number < endpoints; number += 1) store.put(...put(anInstance(number, SERVICE)));
  const view = new ClientView(() => store, [SERVICE]);
  await systemClock.sleep(10);
  return view;
}

/** Awaits each call as the client does. */
async function median(call: () => unknown): Promise<number> {
  const ns: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const startedMs = performance.now();
    for (let calls = 0; calls < CALLS; calls += 1) await call();
    ns.push(((performance.now() - startedMs) * 1e6) / CALLS);
  }
  return medianOf(ns);
}

function print(line: { title: string; endpoints: number; ns: number }): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
