/** The oracle is tested: a good world passes, and each way in which it can be wrong is named by its invariant. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Operation, parseHistory } from "./history.ts";
import { judge } from "./invariants.ts";
import { whatIsOpen } from "./quiesce.ts";
import { renderVerdict } from "./report.ts";
import type { World } from "./world.ts";

const history: readonly Operation[] = [
  { atMs: 0, op: "place", phase: "invoke", key: "a" },
  { atMs: 9, op: "place", phase: "ok", key: "a", orderId: "A", httpStatus: 201 },
  { atMs: 10, op: "place", phase: "ok", key: "b", orderId: "B", httpStatus: 201 },
  { atMs: 11, op: "place", phase: "info", key: "c" },
  { atMs: 12, op: "replay", phase: "ok", key: "a", orderId: "A", httpStatus: 201 },
  { atMs: 13, op: "reuse", phase: "fail", key: "a", httpStatus: 400 },
  { atMs: 14, op: "read", phase: "ok", key: "a", orderId: "A", httpStatus: 200 },
];

const event = (consumer: string, topic: string, key: string, sequence: bigint) => ({
  consumer,
  topic,
  key,
  sequence,
  eventId: `${topic}${key}${sequence}`,
});

/** A was confirmed, B was charged and refunded; both customers know. */
const world: World = {
  orders: [
    { orderId: "A", key: "a", state: "CONFIRMED", totalMinor: 1299n, shipment: "SHIPPED" },
    { orderId: "B", key: "b", state: "CANCELLED", totalMinor: 500n, shipment: null },
  ],
  ledger: [
    { kind: "CAPTURE", orderId: "A", key: "charge:A", amountMinor: 1299n },
    { kind: "CAPTURE", orderId: "B", key: "charge:B", amountMinor: 500n },
    { kind: "REFUND", orderId: "B", key: "refund:B", amountMinor: 500n },
  ],
  deliveries: [
    { orderId: "A", kind: "ORDER_CONFIRMED" },
    { orderId: "A", kind: "ORDER_SHIPPED" },
    { orderId: "B", kind: "ORDER_CANCELLED" },
  ],
  stock: [{ sku: "MUG-1", initial: 10, available: 9, reserved: 0, sold: 1 }],
  confirmedPieces: new Map([["MUG-1", 1]]),
  unpublished: 0,
  parked: 0,
  effects: [
    event("shipping", "orders", "A", 1n),
    event("notification", "orders", "A", 1n),
    event("shipping", "orders", "B", 1n),
    event("notification", "orders", "B", 1n),
    event("order", "shipments", "A", 1n),
    event("order", "shipments", "A", 2n),
    event("notification", "shipments", "A", 1n),
    event("notification", "shipments", "A", 2n),
  ],
  published: ["orders A 1", "orders B 1", "shipments A 1", "shipments A 2"],
};

const [orderA, orderB] = world.orders as [World["orders"][0], World["orders"][0]];
const [mug] = world.stock as [World["stock"][0]];

test("a good world passes with every invariant held", () => {
  const { verdict, findings, accepted } = judge(history, world);
  assert.equal(verdict, "Passed");
  assert.equal(accepted, 2);
  assert.deepEqual(
    findings.filter(({ held }) => held !== "True"),
    [],
  );
  assert.ok(
    findings.every(({ examined }) => examined > 0),
    "an invariant that examines nothing says nothing",
  );
});

test("a history without an accepted order is inconclusive, never passed", () => {
  const nothing = {
    ...world,
    orders: [],
    ledger: [],
    deliveries: [],
    effects: [],
    published: [],
    stock: [],
    confirmedPieces: new Map(),
  };
  assert.equal(judge([], nothing).verdict, "Inconclusive");
});

type Mutation = {
  readonly title: string;
  readonly violates: readonly string[];
  readonly world?: Partial<World>;
  readonly history?: readonly Operation[];
};

const MUTATIONS: readonly Mutation[] = [
  {
    title: "an acknowledged order does not exist",
    violates: ["I1"],
    history: [...history, { atMs: 20, op: "place", phase: "ok", key: "d", orderId: "D" }],
  },
  {
    title: "a card is captured twice",
    violates: ["I2", "I5"],
    world: { ledger: [...world.ledger, { kind: "CAPTURE", orderId: "A", key: "charge:A:2", amountMinor: 1299n }] },
  },
  {
    title: "a confirmed order is told of twice",
    violates: ["I3"],
    world: { deliveries: [...world.deliveries, { orderId: "A", kind: "ORDER_SHIPPED" }] },
  },
  {
    title: "a shipped order is not told of",
    violates: ["I3"],
    world: { deliveries: world.deliveries.filter(({ kind }) => kind !== "ORDER_SHIPPED") },
  },
  {
    title: "a cancelled order is told of as confirmed",
    violates: ["I3"],
    world: { deliveries: [...world.deliveries, { orderId: "B", kind: "ORDER_CONFIRMED" }] },
  },
  {
    title: "an order is undecided",
    violates: ["I3", "I4", "I5"],
    world: { orders: [{ ...orderA, state: "CHARGING" }, orderB] },
  },
  {
    title: "an order needs attention",
    violates: ["I3", "I4", "I5"],
    world: { orders: [{ ...orderA, state: "NEEDS_ATTENTION" }, orderB] },
  },
  {
    title: "a confirmed order is not shipped",
    violates: ["I4"],
    world: { orders: [{ ...orderA, shipment: "PREPARING" }, orderB] },
  },
  { title: "a confirmed order is not charged", violates: ["I4", "I5"], world: { ledger: world.ledger.slice(1) } },
  { title: "a cancelled order keeps the money", violates: ["I4", "I5"], world: { ledger: world.ledger.slice(0, 2) } },
  {
    title: "too little is captured",
    violates: ["I5"],
    world: { ledger: [{ kind: "CAPTURE", orderId: "A", key: "charge:A", amountMinor: 1n }, ...world.ledger.slice(1)] },
  },
  { title: "stock is negative", violates: ["I6"], world: { stock: [{ ...mug, available: -1 }] } },
  { title: "stock stays reserved", violates: ["I6"], world: { stock: [{ ...mug, available: 8, reserved: 1 }] } },
  { title: "more is sold than ordered", violates: ["I6"], world: { stock: [{ ...mug, available: 8, sold: 2 }] } },
  { title: "pieces vanish", violates: ["I6"], world: { stock: [{ ...mug, available: 8 }] } },
  {
    title: "one key is answered with two orders",
    violates: ["I7"],
    history: [...history, { atMs: 20, op: "replay", phase: "ok", key: "a", orderId: "B" }],
  },
  {
    title: "a reused key is taken",
    violates: ["I7"],
    history: [...history, { atMs: 20, op: "reuse", phase: "ok", key: "a", orderId: "A" }],
  },
  { title: "one key made two orders", violates: ["I7"], world: { orders: [orderA, { ...orderB, key: "a" }] } },
  { title: "an event is not sent", violates: ["I8"], world: { unpublished: 1 } },
  { title: "an event is parked", violates: ["I8"], world: { parked: 1 } },
  { title: "a consumer never had an event", violates: ["I9"], world: { effects: world.effects.slice(1) } },
  { title: "effects come in the wrong order", violates: ["I9"], world: { effects: world.effects.toReversed() } },
  {
    title: "an acknowledged order is not found",
    violates: ["I12"],
    history: [...history, { atMs: 20, op: "read", phase: "fail", key: "a", orderId: "A", httpStatus: 404 }],
  },
];

for (const mutation of MUTATIONS)
  test(`found: ${mutation.title}`, () => {
    const { verdict, findings } = judge(mutation.history ?? history, { ...world, ...mutation.world });
    assert.equal(verdict, "Failed");
    assert.deepEqual(
      findings.filter(({ held }) => held !== "True").map(({ id }) => id),
      mutation.violates,
    );
  });

test("an order that nobody acknowledged may exist or not", () => {
  const extra = { orderId: "C", key: "c", state: "CANCELLED", totalMinor: 1n, shipment: null };
  const deliveries = [...world.deliveries, { orderId: "C", kind: "ORDER_CANCELLED" as const }];
  assert.equal(judge(history, { ...world, orders: [...world.orders, extra], deliveries }).verdict, "Passed");
});

test("a read before the acknowledgement may find nothing", () => {
  const early: Operation = { atMs: 1, op: "read", phase: "fail", key: "a", orderId: "A", httpStatus: 404 };
  assert.equal(judge([early, ...history], world).verdict, "Passed");
});

test("what is still open is said in words", () => {
  assert.deepEqual(whatIsOpen(world), []);
  const open = {
    ...world,
    orders: [
      { ...orderA, state: "CHARGING" },
      { ...orderB, orderId: "E", state: "CONFIRMED" },
    ],
    unpublished: 3,
    published: [...world.published, "orders E 1"],
  };
  assert.deepEqual(whatIsOpen(open), [
    "1 orders undecided",
    "1 not shipped",
    "1 customers not told",
    "3 events unsent",
    "2 events not handled",
  ]);
});

test("an invariant that is unknown makes a verdict inconclusive, and a violated one still fails it", () => {
  const { verdict, findings } = judge(history, { ...world, mesh: "unreadable" });
  assert.equal(verdict, "Inconclusive");
  assert.match(renderVerdict({ verdict, findings, accepted: 2 }, false), /I11\s+RegistryTruth\s+unknown/);
  assert.equal(judge(history, { ...world, mesh: "unreadable", parked: 1 }).verdict, "Failed");
});

test("a verdict is a table with its counts and examples", () => {
  const text = renderVerdict(judge(history, { ...world, parked: 2 }), false);
  assert.match(text, /I8\s+OutboxDrained\s+VIOLATED\s+8\s+1/);
  assert.match(text, /I8: 2 events were parked/);
  assert.match(text, /Failed: 2 orders were accepted/);
});

for (const [line, problem] of [
  ["{", /line 1 of the history is not JSON/],
  ['{"atMs":1,"op":"steal","phase":"ok","key":"a"}', /line 1 of the history is no operation/],
  ['{"op":"place","phase":"ok","key":"a"}', /no operation/],
] as const)
  test(`a history with ${line} is refused`, () => assert.throws(() => parseHistory(line), problem));
