/** The whole system from outside: an order's way, and what must hold while processes die. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { LedgerJudge } from "@ordermesh/chaos/ledger-judge";
import { CLOCK_SKEW_MS, readWorld } from "@ordermesh/judge/ledgers";
import { quiesce } from "@ordermesh/judge/quiesce";
import type { System } from "@ordermesh/local/system";
import { CASES } from "../crash/matrix.ts";
import { runCase } from "../crash/run-case.ts";
import { startCrashSystem } from "../crash/system.ts";
import { Customer } from "../harness/customer.ts";

const REST_MS = 60_000;
/** Each kind of place, once each way: a look at what `make crash` does whole. */
const SAMPLE = [
  "order.acceptSent in order-1: kill",
  "payment.captured in payment-1: kill",
  "consumer.committed in notification-1: kill",
  "relay.acked in shipping-1: error",
];

const startedMs = Date.now();
let system: System;
let customer: Customer;

before(async () => {
  system = await startCrashSystem("e2e");
  customer = new Customer(system.url);
});
after(() => system?.stop());

async function untilStatus(orderId: string, status: string): Promise<void> {
  const endsMs = performance.now() + 20_000;
  for (;;) {
    const order = await (await fetch(`${system.url}/api/orders/${orderId}`)).json();
    if (order.status === status) return;
    assert.ok(performance.now() < endsMs, `${orderId} is ${order.status}, not ${status}`);
    await sleep(50);
  }
}

async function judged(): Promise<string[]> {
  const { databases, etcd, adminUrls } = system.state;
  const { isAtRest, open } = await quiesce(databases, REST_MS, () => undefined);
  assert.ok(isAtRest, open.join(", "));
  const mesh = async () => ({ etcd: etcd.split(","), adminUrls: Object.values(adminUrls) });
  const findings = await new LedgerJudge({ databases, mesh }).judge(customer.history, startedMs);
  return findings.filter(({ held }) => held !== "True").map(({ name, examples }) => `${name}: ${examples.join("; ")}`);
}

test("a good order is confirmed, shipped, and told of twice", async () => {
  const { orderId, status } = await customer.place({ key: "good", card: "tok_visa" });
  assert.ok(["CONFIRMED", "PREPARING", "SHIPPED"].includes(status), status);
  await untilStatus(orderId, "SHIPPED");
  assert.deepEqual(await judged(), []);
});

for (const [card, sku, reason] of [
  ["tok_declined", "MUG-1", "PAYMENT_DECLINED"],
  ["tok_visa", "GONE-1", "OUT_OF_STOCK"],
] as const)
  test(`an order that ends ${reason} is cancelled, not charged, and its stock is back`, async () => {
    const { orderId, status } = await customer.place({ key: `bad-${reason}`, card, sku });
    assert.equal(status, "CANCELLED");
    const order = await (await fetch(`${system.url}/api/orders/${orderId}`)).json();
    assert.equal(order.cancelReason, reason);
    assert.deepEqual(await judged(), []);
  });

for (const card of ["tok_timeout_after_charge", "tok_error_after_charge", "tok_slow"])
  test(`a provider of the kind ${card} charges once`, async () => {
    const { orderId } = await customer.place({ key: card, card });
    await untilStatus(orderId, "SHIPPED");
    assert.deepEqual(await judged(), []);
  });

test("one hundred sends of one key at the same time are one order with one answer", async () => {
  const outcomes = await Promise.all(
    Array.from({ length: 100 }, () => customer.place({ key: "hundred", card: "tok_visa" })),
  );
  assert.equal(new Set(outcomes.map(({ orderId }) => orderId)).size, 1);
  assert.deepEqual(await judged(), []);
});

test("a key with another body is refused and changes nothing", async () => {
  await customer.place({ key: "reused", card: "tok_visa" });
  await assert.rejects(customer.place({ key: "reused", card: "tok_visa", quantity: 2 }), /IDEMPOTENCY_KEY_REUSED/);
  assert.deepEqual(await judged(), []);
});

test("what happened before a time is not read, but for orders that are asked for", async () => {
  const { databases } = system.state;
  assert.deepEqual(await judged(), []);
  const before = await customer.place({ key: "before", card: "tok_visa" });
  await untilStatus(before.orderId, "SHIPPED");
  assert.deepEqual(await judged(), []);
  const sinceMs = Date.now() + CLOCK_SKEW_MS;
  const nothing = await readWorld(databases, { sinceMs });
  assert.deepEqual(
    [nothing.orders, nothing.ledger, nothing.deliveries, nothing.effects, nothing.published],
    [[], [], [], [], []],
  );
  const since = await customer.place({ key: "since", card: "tok_visa" });
  await untilStatus(since.orderId, "SHIPPED");
  assert.deepEqual(await judged(), []);
  const scoped = await readWorld(databases, { sinceMs, orderIds: [before.orderId] });
  const own = [before.orderId, since.orderId];
  assert.deepEqual(new Set(scoped.orders.map(({ orderId }) => orderId)), new Set(own));
  const all = await readWorld(databases);
  assert.deepEqual(
    scoped.ledger,
    all.ledger.filter(({ orderId }) => own.includes(orderId)),
  );
  assert.deepEqual(
    scoped.deliveries,
    all.deliveries.filter(({ orderId }) => own.includes(orderId)),
  );
  assert.deepEqual(
    scoped.effects,
    all.effects.filter(({ key }) => own.includes(key)),
  );
  assert.ok(scoped.effects.length > 0 && all.effects.length > scoped.effects.length);
  assert.deepEqual([scoped.stock, scoped.confirmedPieces], [all.stock, all.confirmedPieces]);
});

test("an order's events end with its shipping", async () => {
  const { orderId } = await customer.place({ key: "followed", card: "tok_visa" });
  const response = await fetch(`${system.url}/api/orders/${orderId}/events`, { signal: AbortSignal.timeout(20_000) });
  const text = await response.text();
  const statuses = [...text.matchAll(/"status":"([A-Z]+)"/g)].map(([, status]) => status);
  assert.equal(statuses.at(-1), "SHIPPED");
  assert.equal(new Set(statuses).size, statuses.length, "each state once");
});

for (const [index, testCase] of CASES.filter(({ process, point, action }) =>
  SAMPLE.includes(`${point} in ${process}: ${action}`),
).entries())
  test(`crash point ${testCase.point} in ${testCase.process}: ${testCase.action}`, async () => {
    const { problem } = await runCase(system, customer, testCase, 1_000 + index);
    assert.equal(problem, undefined);
  });

test("no card token is in any log", async () => {
  const { readFileSync, readdirSync } = await import("node:fs");
  const leaks = readdirSync(system.logDir).filter((name) =>
    /tok_(visa|declined|slow|timeout|error)/.test(readFileSync(`${system.logDir}/${name}`, "utf8")),
  );
  assert.deepEqual(leaks, []);
});

test("what a process tells of itself stays within 2,000 series", async (t) => {
  for (const adminUrl of Object.values(system.state.adminUrls)) {
    await (await fetch(`${adminUrl}/metrics`)).text(); // The first one compiles.
    const startedMs = performance.now();
    const text = await (await fetch(`${adminUrl}/metrics`)).text();
    const tookMs = performance.now() - startedMs;
    const series = text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length;
    assert.ok(series > 50 && series <= 2_000, `${adminUrl}: ${series} series`);
    t.diagnostic(`${series} series in ${tookMs.toFixed(1)} ms`);
  }
});
