/** The invariants of an order system over what its client and its ledgers recorded. Pure; judged when everything is at rest. */
import { type Finding, finding } from "./finding.ts";
import type { Operation } from "./history.ts";
import { judgeMesh } from "./mesh-invariants.ts";
import type { World } from "./world.ts";

/** `Inconclusive`: there was too little to judge, or an invariant is unknown. Failed outweighs it. */
export type Verdict = {
  readonly verdict: "Passed" | "Failed" | "Inconclusive";
  readonly findings: readonly Finding[];
  readonly accepted: number;
};

/** Which consumers must have had every event of a topic. */
const CONSUMERS: Readonly<Record<string, readonly string[]>> = {
  orders: ["shipping", "notification"],
  shipments: ["order", "notification"],
};

export function judge(history: readonly Operation[], world: World): Verdict {
  const acknowledged = acknowledgedOrders(history);
  const findings = [
    noOrderLost(acknowledged, world),
    noDoubleCharge(world),
    exactlyOneNotification(world),
    sagaTerminal(world),
    moneyConserved(world),
    stockConserved(world),
    idempotentReplies(history, world),
    outboxDrained(world),
    orderPerAggregate(world),
    ...judgeMesh(world.mesh),
    readYourOrder(history, acknowledged),
  ];
  return { verdict: verdictOf(findings, acknowledged.size), findings, accepted: acknowledged.size };
}

function verdictOf(findings: readonly Finding[], accepted: number): Verdict["verdict"] {
  if (findings.some(({ held }) => held === "False")) return "Failed";
  return accepted === 0 || findings.some(({ held }) => held === "Unknown") ? "Inconclusive" : "Passed";
}

/** Order id to when the client first knew that it is accepted. */
function acknowledgedOrders(history: readonly Operation[]): Map<string, number> {
  const first = new Map<string, number>();
  for (const { op, phase, orderId, atMs } of history)
    if (op !== "reuse" && phase === "ok" && orderId !== undefined && !first.has(orderId)) first.set(orderId, atMs);
  return first;
}

function noOrderLost(acknowledged: ReadonlyMap<string, number>, { orders }: World): Finding {
  const known = new Set(orders.map(({ orderId }) => orderId));
  const lost = [...acknowledged.keys()].filter((orderId) => !known.has(orderId));
  return finding(
    "I1",
    "NoOrderLost",
    acknowledged.size,
    lost.map((orderId) => `${orderId} was acknowledged and does not exist`),
  );
}

function noDoubleCharge({ ledger }: World): Finding {
  const captures = count(ledger.filter(({ kind }) => kind === "CAPTURE").map(({ orderId }) => orderId));
  const double = [...captures].filter(([, times]) => times > 1);
  return finding(
    "I2",
    "NoDoubleCharge",
    captures.size,
    double.map(([orderId, times]) => `${orderId} was captured ${times} times`),
  );
}

function exactlyOneNotification({ orders, deliveries }: World): Finding {
  const delivered = count(deliveries.map(({ orderId, kind }) => `${orderId} ${kind}`));
  const problems = orders.flatMap(({ orderId, state }) => {
    const expected = {
      ORDER_CONFIRMED: state === "CONFIRMED" ? 1 : 0,
      ORDER_SHIPPED: state === "CONFIRMED" ? 1 : 0,
      ORDER_CANCELLED: state === "CANCELLED" ? 1 : 0,
    };
    return Object.entries(expected).flatMap(([kind, times]) => {
      const actual = delivered.get(`${orderId} ${kind}`) ?? 0;
      return actual === times ? [] : [`${orderId} has ${actual} of ${kind}, not ${times}`];
    });
  });
  return finding("I3", "ExactlyOneShippingNotification", orders.length, problems);
}

function sagaTerminal({ orders, ledger }: World): Finding {
  const held = netCaptures(ledger);
  const problems = orders.flatMap((order) => {
    const money = held.get(order.orderId) ?? 0n;
    if (order.state === "CONFIRMED") {
      if (money <= 0n) return [`${order.orderId} is confirmed and not charged`];
      return order.shipment === "SHIPPED" ? [] : [`${order.orderId} is confirmed and not shipped`];
    }
    if (order.state === "CANCELLED") return money === 0n ? [] : [`${order.orderId} is cancelled and its money is kept`];
    return [`${order.orderId} is still ${order.state}`];
  });
  return finding("I4", "SagaTerminal", orders.length, problems);
}

function moneyConserved({ orders, ledger }: World): Finding {
  const net = [...netCaptures(ledger).values()].reduce((sum, amount) => sum + amount, 0n);
  const owed = orders
    .filter(({ state }) => state === "CONFIRMED")
    .reduce((sum, { totalMinor }) => sum + totalMinor, 0n);
  const problems = net === owed ? [] : [`the provider holds ${net}, confirmed orders total ${owed}`];
  return finding("I5", "MoneyConserved", ledger.length, problems);
}

function stockConserved({ stock, confirmedPieces }: World): Finding {
  const problems = stock.flatMap(({ sku, initial, available, reserved, sold }) => {
    const confirmed = confirmedPieces.get(sku) ?? 0;
    if (available < 0) return [`${sku} has ${available} pieces`];
    if (reserved !== 0) return [`${sku} has ${reserved} pieces reserved at rest`];
    if (sold !== confirmed) return [`${sku} sold ${sold} pieces, confirmed orders have ${confirmed}`];
    return initial === available + sold ? [] : [`${sku} had ${initial} pieces, now ${available} and ${sold} sold`];
  });
  return finding("I6", "StockConserved", stock.length, problems);
}

function idempotentReplies(history: readonly Operation[], { orders }: World): Finding {
  const answers = Map.groupBy(
    history.filter(
      ({ op, phase, orderId }) => (op === "place" || op === "replay") && phase === "ok" && orderId !== undefined,
    ),
    ({ key }) => key,
  );
  const different = [...answers].flatMap(([key, found]) => {
    const ids = new Set(found.map(({ orderId }) => orderId));
    return ids.size > 1 ? [`key ${key} was answered with ${[...ids].join(" and ")}`] : [];
  });
  const taken = history
    .filter(({ op, phase }) => op === "reuse" && phase === "ok")
    .map(({ key }) => `key ${key} was taken with another body`);
  const byKey = count(orders.map(({ key }) => key));
  const twice = [...byKey].filter(([, times]) => times > 1).map(([key, times]) => `key ${key} made ${times} orders`);
  return finding("I7", "IdempotentReplies", answers.size, [...different, ...taken, ...twice]);
}

function outboxDrained({ unpublished, parked, effects }: World): Finding {
  const problems = [
    ...(unpublished > 0 ? [`${unpublished} events were not sent`] : []),
    ...(parked > 0 ? [`${parked} events were parked`] : []),
    ...duplicates(effects.map(({ consumer, eventId }) => `${consumer} has ${eventId}`)).map((text) => `${text} twice`),
  ];
  return finding("I8", "OutboxDrained", effects.length, problems);
}

/** Consumers that have not yet handled a published event. */
export function withoutEffect({ effects, published }: World): { consumer: string; event: string }[] {
  const seen = new Set(effects.map(({ consumer, topic, key, sequence }) => `${consumer} ${topic} ${key} ${sequence}`));
  return published.flatMap((event) => {
    const consumers = CONSUMERS[event.split(" ")[0] ?? ""] ?? [];
    return consumers.filter((consumer) => !seen.has(`${consumer} ${event}`)).map((consumer) => ({ consumer, event }));
  });
}

/** Every published event had its effect at every consumer, and a key's effects came in the order of its sequence. */
function orderPerAggregate(world: World): Finding {
  const { effects, published } = world;
  const problems = withoutEffect(world).map(({ consumer, event }) => `${consumer} never had ${event}`);
  for (const [name, own] of Map.groupBy(effects, ({ consumer, topic, key }) => `${consumer} ${topic} ${key}`)) {
    const isInOrder = own.every(({ sequence }, index) => sequence === BigInt(index + 1));
    if (!isInOrder) problems.push(`${name} had the sequence ${own.map(({ sequence }) => sequence).join(", ")}`);
  }
  return finding("I9", "OrderPerAggregate", published.length, problems);
}

function readYourOrder(history: readonly Operation[], acknowledged: ReadonlyMap<string, number>): Finding {
  const reads = history.filter(
    ({ op, phase, orderId }) => op === "read" && phase !== "invoke" && orderId !== undefined,
  );
  const missed = reads.filter(
    ({ orderId = "", httpStatus, atMs }) =>
      httpStatus === 404 && (acknowledged.get(orderId) ?? Number.POSITIVE_INFINITY) <= atMs,
  );
  return finding(
    "I12",
    "ReadYourOrder",
    reads.length,
    missed.map(({ orderId }) => `${orderId} was acknowledged and then not found`),
  );
}

function netCaptures(ledger: World["ledger"]): Map<string, bigint> {
  const net = new Map<string, bigint>();
  for (const { kind, orderId, amountMinor } of ledger) {
    const change = kind === "CAPTURE" ? amountMinor : kind === "REFUND" ? -amountMinor : 0n;
    net.set(orderId, (net.get(orderId) ?? 0n) + change);
  }
  return net;
}

function count(items: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}

function duplicates(items: readonly string[]): string[] {
  return [...count(items)].filter(([, times]) => times > 1).map(([item]) => item);
}
