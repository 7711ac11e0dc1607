/** One case of the crash matrix: arm, order, make sure that the point was reached, let everything come to rest, judge. */
import { setTimeout as sleep } from "node:timers/promises";
import { quiesce } from "@ordermesh/judge/quiesce";
import type { System } from "@ordermesh/local/system";
import pg from "pg";
import type { Customer } from "../harness/customer.ts";
import { arm, countActs, untilActed } from "../harness/failpoints.ts";
import { judgeSystem } from "../harness/judge-system.ts";
import { type Case, nameOf, SLEEP_MS } from "./matrix.ts";

const REACH_TIMEOUT_MS = 20_000;
const REST_TIMEOUT_MS = 60_000;
const ORDERS = 4;

export type CaseResult = { readonly name: string; readonly seconds: number; readonly problem: string | undefined };

export async function runCase(system: System, customer: Customer, testCase: Case, number: number): Promise<CaseResult> {
  const startedMs = performance.now();
  const problem = await attempt(system, customer, testCase, number).catch((error: unknown) =>
    error instanceof Error ? error.message : String(error),
  );
  return { name: nameOf(testCase), seconds: (performance.now() - startedMs) / 1_000, problem };
}

/** Resolves with what is wrong; undefined when nothing is. */
async function attempt(
  system: System,
  customer: Customer,
  testCase: Case,
  number: number,
): Promise<string | undefined> {
  const { process, point, scenario } = testCase;
  const action = testCase.action === "sleep" ? `sleep(${SLEEP_MS})` : testCase.action;
  await system.untilReady();
  const before = countActs(system, process, point);
  await arm(system, process, `${point}=1*${action}`);
  await placeOrders(system, customer, scenario, number);
  await untilActed(system, process, { point, before, timeoutMs: REACH_TIMEOUT_MS });
  await system.untilReady();
  const { world, isAtRest, open } = await quiesce(system.state.databases, REST_TIMEOUT_MS, () => undefined);
  if (!isAtRest) return `not at rest: ${open.join(", ")}`;
  const { verdict, findings } = await judgeSystem(system.state, customer.history, world);
  return verdict === "Passed"
    ? undefined
    : findings.flatMap(({ id, examples }) => examples.map((example) => `${id}: ${example}`)).join("; ");
}

async function placeOrders(
  system: System,
  customer: Customer,
  scenario: Case["scenario"],
  number: number,
): Promise<void> {
  const kafka = system.process("kafka-1");
  const isWithoutKafka = scenario === "confirmed-without-kafka";
  if (isWithoutKafka) kafka.freeze();
  try {
    await Promise.all(
      Array.from({ length: ORDERS }, (_, index) => order(system, customer, scenario, `crash-${number}-${index}`)),
    );
  } finally {
    if (isWithoutKafka) kafka.thaw();
  }
}

async function order(system: System, customer: Customer, scenario: Case["scenario"], key: string): Promise<void> {
  if (scenario === "declined") await customer.place({ key, card: "tok_declined" });
  else if (scenario !== "cancelled-while-charging") await customer.place({ key, card: "tok_visa" });
  else
    await Promise.all([
      customer.place({ key, card: "tok_timeout_after_charge" }),
      cancelWhileCharging(system, customer, key),
    ]);
}

/** The provider has captured and says nothing: the moment at which cancelling is hardest. */
async function cancelWhileCharging(system: System, customer: Customer, key: string): Promise<void> {
  for (let tries = 0; tries < 40; tries += 1) {
    const orderId = await findCharging(system, key);
    if (orderId !== undefined) {
      const status = await customer.cancel(orderId).catch(() => 0);
      if (status === 202 || status === 409) return;
    }
    await sleep(50);
  }
}

async function findCharging(system: System, key: string): Promise<string | undefined> {
  const client = new pg.Client({ connectionString: system.databaseUrl("order") });
  await client.connect();
  const { rows } = await client.query(
    "SELECT order_id FROM idempotency JOIN orders USING (order_id) WHERE key = $1 AND state = 'CHARGING'",
    [key],
  );
  await client.end();
  return rows[0]?.order_id;
}
