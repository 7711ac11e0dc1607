import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "./clock.ts";
import {
  type CallContext,
  childTraceparent,
  currentContext,
  newTraceparent,
  runInContext,
  traceId,
} from "./context.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const VALID = `00-${TRACE}-b7ad6b7169203331-00`;

test("a child keeps the trace and its flags and gets a span of its own", () => {
  const child = childTraceparent(VALID, Math.random);
  assert.match(child, new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
  assert.notEqual(child, VALID);
  assert.equal(traceId(child), TRACE);
});

test("a traceparent that is not valid starts a new, sampled trace", () => {
  const bad = [
    undefined,
    "",
    "00-x-y-01",
    VALID.toUpperCase(),
    `${VALID}-more`,
    `ff-${TRACE}-b7ad6b7169203331-01`,
    `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
  ];
  for (const parent of bad) {
    const made = childTraceparent(parent, Math.random);
    assert.match(made, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/, String(parent));
    assert.equal(made.includes(TRACE), false);
  }
});

test("a new traceparent is valid at both ends of the random range", () => {
  for (const chance of [0, 1 - Number.EPSILON]) {
    const made = newTraceparent(() => chance);
    assert.notEqual(traceId(made), "", made);
  }
});

test("the trace id of something else is empty", () => {
  assert.equal(traceId("00-abc"), "");
});

test("a context is seen by what it runs, also later, and by nothing else", async () => {
  const context: CallContext = { deadlineMs: 5, traceparent: VALID, signal: AbortSignal.abort(), caller: "shop" };
  const seen = await runInContext(context, async () => {
    await systemClock.sleep(0);
    return currentContext();
  });
  assert.equal(seen, context);
  assert.equal(currentContext(), undefined);
});
