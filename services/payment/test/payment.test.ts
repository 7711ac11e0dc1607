/** Payments over real gRPC on a real PostgreSQL: one capture for each order, whatever is repeated, races or dies. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import { clientOf, openDatabase, skipWithoutPostgres as skip } from "@ordermesh/local/under-test";
import { systemClock } from "@ordermesh/mesh/clock";
import { PaymentServiceDefinition, PaymentStatus } from "@ordermesh/proto/ordermesh/payment/v1/payment";
import { armFailpoints } from "@ordermesh/runtime/failpoints";
import { type Db, sql } from "@ordermesh/runtime/postgres";
import { Charges } from "../src/charges.ts";
import { CardProvider } from "../src/provider.ts";
import { chargeKey } from "../src/rules.ts";
import { paymentService } from "../src/server.ts";

const migrations = [{ dir: new URL("../migrations/", import.meta.url), table: "payment_migrations" }];
const LEDGER = sql("test_ledger", "SELECT kind FROM provider.ledger WHERE order_id = $1 ORDER BY id");
const COUNT = sql(
  "test_count",
  "SELECT (SELECT count(*) FROM payments) + (SELECT count(*) FROM provider.ledger) AS rows",
);

async function start(t: TestContext) {
  const { db } = await openDatabase(t, migrations);
  const charges = new Charges({ db, provider: new CardProvider(db, systemClock), keyOf: chargeKey, timeoutMs: 100 });
  const payment = await clientOf(t, PaymentServiceDefinition, paymentService(charges));
  return { db, payment };
}

const ledgerOf = async (db: Db, orderId: string) =>
  (await db.query<{ kind: string }>(LEDGER, orderId)).map(({ kind }) => kind);
const charge = (orderId: string, paymentToken = "tok_visa", minorUnits = 1299n) => ({
  orderId,
  amount: { currency: "EUR", minorUnits },
  paymentToken,
});

test("one hundred charges of one order at once are one capture", { skip }, async (t) => {
  const { db, payment } = await start(t);
  const orderId = randomUUID();
  const answers = await Promise.allSettled(Array.from({ length: 100 }, () => payment.charge(charge(orderId))));
  assert.ok(answers.some(({ status }) => status === "fulfilled"));
  for (const answer of answers) if (answer.status === "rejected") assert.equal(answer.reason.reason, "PAYMENT_BUSY");
  assert.deepEqual(await ledgerOf(db, orderId), ["CAPTURE"]);
  const { payment: stored } = await payment.getPayment({ orderId });
  assert.equal(stored?.status, PaymentStatus.PAYMENT_STATUS_CAPTURED);
});

for (const [token, reason, ledger] of [
  ["tok_declined", "CARD_DECLINED", ["DECLINE"]],
  ["tok_declined_twice", "CARD_DECLINED", ["DECLINE"]],
] as const)
  test(`${token} is declined, also when it is tried again`, { skip }, async (t) => {
    const { db, payment } = await start(t);
    const orderId = randomUUID();
    for (let tries = 0; tries < 2; tries += 1)
      await assert.rejects(payment.charge(charge(orderId, token)), { kind: "precondition", reason });
    assert.deepEqual(await ledgerOf(db, orderId), ledger);
  });

for (const token of ["tok_slow", "tok_timeout_after_charge", "tok_error_after_charge"])
  test(`${token} ends with one capture, by the mesh's own repeats`, { skip }, async (t) => {
    const { db, payment } = await start(t);
    const orderId = randomUUID();
    const { payment: paid } = await payment.charge(charge(orderId, token));
    assert.equal(paid?.status, PaymentStatus.PAYMENT_STATUS_CAPTURED);
    assert.deepEqual(await ledgerOf(db, orderId), ["CAPTURE"]);
  });

for (const point of ["payment.recorded", "payment.captured", "payment.stored"])
  test(`a failure at ${point} and a repeat are one capture`, { skip }, async (t) => {
    const { db, payment } = await start(t);
    const orderId = randomUUID();
    armFailpoints(`${point}=1*error`);
    t.after(() => armFailpoints(""));
    await assert.rejects(payment.charge(charge(orderId)), { kind: "internal" });
    await payment.charge(charge(orderId));
    assert.deepEqual(await ledgerOf(db, orderId), ["CAPTURE"]);
  });

test("a failure after the provider's refund and a repeat are one refund", { skip }, async (t) => {
  const { db, payment } = await start(t);
  const orderId = randomUUID();
  await payment.charge(charge(orderId));
  armFailpoints("payment.refundCaptured=1*error");
  t.after(() => armFailpoints(""));
  await assert.rejects(payment.refund({ orderId }), { kind: "internal" });
  const { payment: refunded } = await payment.refund({ orderId });
  assert.equal(refunded?.status, PaymentStatus.PAYMENT_STATUS_REFUNDED);
  assert.deepEqual(await ledgerOf(db, orderId), ["CAPTURE", "REFUND"]);
});

test("a refund before any charge rules the charge out", { skip }, async (t) => {
  const { db, payment } = await start(t);
  const orderId = randomUUID();
  const { payment: voided } = await payment.refund({ orderId });
  assert.equal(voided?.status, PaymentStatus.PAYMENT_STATUS_VOIDED);
  await assert.rejects(payment.charge(charge(orderId)), { reason: "PAYMENT_VOIDED" });
  assert.deepEqual(await ledgerOf(db, orderId), []);
});

test("a charge racing its refund never leaves money with us", { skip }, async (t) => {
  const { db, payment } = await start(t);
  const outcomes = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const orderId = randomUUID();
      await Promise.allSettled([payment.charge(charge(orderId)), payment.refund({ orderId })]);
      await payment.refund({ orderId }); // The saga repeats it until it succeeds.
      return (await ledgerOf(db, orderId)).join(" ");
    }),
  );
  const allowed = new Set(["", "VOID", "CAPTURE REFUND"]);
  assert.deepEqual(
    outcomes.filter((outcome) => !allowed.has(outcome)),
    [],
  );
});

test("another amount or card for a charged order is refused", { skip }, async (t) => {
  const { db, payment } = await start(t);
  const orderId = randomUUID();
  await payment.charge(charge(orderId));
  await assert.rejects(payment.charge(charge(orderId, "tok_visa", 1n)), { reason: "CHARGE_MISMATCH" });
  await assert.rejects(payment.charge(charge(orderId, "tok_other")), { reason: "CHARGE_MISMATCH" });
  assert.deepEqual(await ledgerOf(db, orderId), ["CAPTURE"]);
});

test("the ledger refuses to be changed", { skip }, async (t) => {
  const { db, payment } = await start(t);
  await payment.charge(charge(randomUUID()));
  for (const text of [
    "UPDATE provider.ledger SET amount_minor = 0",
    "DELETE FROM provider.ledger",
    "TRUNCATE provider.ledger",
  ])
    await assert.rejects(db.query(sql(text.slice(0, 6), text)), /append-only/);
});

test("bad charges are refused with their fields and leave no row", { skip }, async (t) => {
  const { db, payment } = await start(t);
  const orderId = randomUUID();
  const table = [
    [{ ...charge(orderId), orderId: "../etc" }, "order_id"],
    [{ ...charge(orderId), amount: undefined }, "amount.currency"],
    [charge(orderId, "tok_visa", 0n), "amount.minor_units"],
    [charge(orderId, "tok_visa", -1n), "amount.minor_units"],
    [charge(orderId, "tok_visa", 10n ** 12n + 1n), "amount.minor_units"],
    [{ ...charge(orderId), amount: { currency: "eur", minorUnits: 1n } }, "amount.currency"],
    [charge(orderId, "4242424242424242"), "payment_token"],
    [charge(orderId, ""), "payment_token"],
    [charge(orderId, "tok\nvisa"), "payment_token"],
  ] as const;
  for (const [request, field] of table)
    await assert.rejects(payment.charge(request), (error: { kind: string; violations: { field: string }[] }) => {
      assert.equal(error.kind, "invalid");
      assert.equal(error.violations[0]?.field, field);
      return true;
    });
  await assert.rejects(payment.getPayment({ orderId }), { kind: "not-found", reason: "PAYMENT_UNKNOWN" });
  const [row] = await db.query<{ rows: bigint }>(COUNT);
  assert.equal(row?.rows, 0n);
});
