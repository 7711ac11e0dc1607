/** One run: a seed decides the load, the faults and the order of everything; the judge decides what came of it. */
import { judge, type Verdict } from "@ordermesh/judge/invariants";
import { whatIsOpen } from "@ordermesh/judge/quiesce";
import type { Bug } from "./bugs.ts";
import { Chance } from "./chance.ts";
import { Customers } from "./customers.ts";
import { Faults, planFaults } from "./faults.ts";
import { MemoryDatabase, MemoryServer } from "./memory-database.ts";
import { MemoryKafka } from "./memory-kafka.ts";
import { MemoryMesh } from "./memory-mesh.ts";
import { Network, NO_FAULTS } from "./network.ts";
import { type Rules, SERVICES, type ServiceName, startProcess } from "./processes.ts";
import { Scheduler, SimulatedProcess } from "./scheduler.ts";
import { seedTables } from "./seed-tables.ts";
import { EVENT_STATEMENTS } from "./statements/events.ts";
import { INVENTORY_STATEMENTS } from "./statements/inventory.ts";
import { NOTIFICATION_STATEMENTS } from "./statements/notification.ts";
import { ORDER_STATEMENTS } from "./statements/order.ts";
import { PAYMENT_STATEMENTS } from "./statements/payment.ts";
import { SHIPPING_STATEMENTS } from "./statements/shipping.ts";
import type { Statements } from "./statements/statements.ts";
import { readWorld } from "./world.ts";

const MAX_ORDERS = 5;
/** Of each product; a single one of one, so that orders compete. */
const PIECES = { "GONE-1": 0, "MUG-1": 1_000, "PEN-1": 1_000, "SCARCE-1": 1 };
const LOAD_MS = 2_000;
const LOOK_EVERY_MS = 250;
/** Virtual time after the faults within which everything has to come to rest. */
const DRAIN_MS = 120_000;
const STATEMENTS = {
  ...EVENT_STATEMENTS,
  ...ORDER_STATEMENTS,
  ...INVENTORY_STATEMENTS,
  ...PAYMENT_STATEMENTS,
  ...SHIPPING_STATEMENTS,
  ...NOTIFICATION_STATEMENTS,
};

export type RunOptions = {
  readonly seed: number;
  readonly bug?: Bug | undefined;
  readonly trace?: ((atMs: number, label: string) => void) | undefined;
};

export type RunResult = Verdict & {
  readonly seed: number;
  /** What did not come to rest in time. */
  readonly open: readonly string[];
  readonly steps: number;
  /** Names the interleaving. */
  readonly hash: number;
  readonly virtualMs: number;
  readonly crashes: number;
};

export async function run({ seed, bug, trace }: RunOptions): Promise<RunResult> {
  const chance = new Chance(seed);
  const plan = planFaults(chance);
  const network = new Network(chance, plan.odds);
  const faults: Faults = new Faults(plan, chance);
  const scheduler = new Scheduler({ intercept: (owner) => faults.intercept(owner), trace });
  const kafka = new MemoryKafka(scheduler, network, chance);
  const mesh = new MemoryMesh(scheduler, network, chance);
  const makeServer = () => newServer(scheduler, network, bug?.statements);
  const servers: Record<ServiceName, MemoryServer> = {
    order: makeServer(),
    inventory: makeServer(),
    payment: makeServer(),
    shipping: makeServer(),
    notification: makeServer(),
  };
  for (const server of Object.values(servers)) seedTables(server, PIECES);
  const rules = chooseRules(chance);
  let started = 0;
  const start = (service: ServiceName) => {
    const process = new SimulatedProcess(`${service}-${started++}`);
    const db = new MemoryDatabase(servers[service], process, scheduler, network);
    const { signal } = new AbortController();
    const shared = { process, db, mesh, signal, chance, rules, parts: bug?.parts ?? {} };
    startProcess(service, { ...shared, kafka: kafka.connect(process), clock: scheduler.clockOf(process) });
    faults.watch(process, scheduler, () => start(service));
  };
  for (const service of SERVICES) for (let count = chance.whole(1, 2); count > 0; count -= 1) start(service);
  faults.begin(scheduler, kafka);
  const customers = new Customers(mesh, scheduler, chance);
  customers.send(chance.whole(2, MAX_ORDERS), LOAD_MS);
  await scheduler.run(() => scheduler.nowMs >= plan.endMs);
  network.odds = NO_FAULTS;
  faults.end();
  customers.askAgain();
  const open = await drain(scheduler, customers, servers);
  return {
    ...judge(customers.history, readWorld(servers)),
    seed,
    open,
    steps: scheduler.steps,
    hash: scheduler.hash,
    virtualMs: scheduler.nowMs,
    crashes: faults.crashes,
  };
}

/** A database that knows the statements of all services; `wrong` ones take the place of the right ones. */
export function newServer(scheduler: Scheduler, network: Network, wrong: Statements | undefined): MemoryServer {
  return new MemoryServer({ ...STATEMENTS, ...wrong }, scheduler, network);
}

/** Runs until nothing is left to happen; gives what is left when that takes too long. */
async function drain(
  scheduler: Scheduler,
  customers: Customers,
  servers: Readonly<Record<ServiceName, MemoryServer>>,
): Promise<readonly string[]> {
  const endsMs = scheduler.nowMs + DRAIN_MS;
  let open: readonly string[] = [];
  let looksMs = scheduler.nowMs + LOOK_EVERY_MS;
  await scheduler.run(() => {
    if (scheduler.nowMs < looksMs) return false;
    looksMs = scheduler.nowMs + LOOK_EVERY_MS;
    open = [...(customers.areDone ? [] : ["customers wait"]), ...whatIsOpen(readWorld(servers))];
    return open.length === 0 || scheduler.nowMs >= endsMs;
  });
  return open;
}

function chooseRules(chance: Chance): Rules {
  return {
    sagaTimeoutMs: chance.pick([1_500, 4_000, 60_000]),
    sagaLeaseMs: 5_000,
    carrierDelayMs: chance.pick([0, 100, 1_000]),
    providerTimeoutMs: 1_500,
    sagaConcurrency: chance.pick([2, 32, 32, 32]),
  };
}
