import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { MeshError } from "./errors.ts";
import { parsePolicy, policyFor, policySchema } from "./policy.ts";
import { seeded } from "./seeded.ts";

const GOOD = {
  schemaVersion: 1,
  timeoutMs: 800,
  retries: { attempts: 2, perTryTimeoutMs: 200 },
  hedging: { delayMs: 50 },
  balancing: { algorithm: "consistent-hash", hashHeader: "x-customer" },
  ejection: { consecutiveFailures: 3 },
  limits: { inFlight: 10, queued: 0 },
  rateLimit: { perSecond: 100, burst: 10 },
  server: { rateLimit: { perSecond: 50, burst: 5 }, concurrency: { min: 10, max: 500 } },
  mirror: { version: "v3", share: 0.1 },
  split: { weights: { v1: 99.99, v2: 0.01 }, stickyHeader: "x-customer" },
  routes: [{ header: "x-canary", equals: "yes", version: "v2" }],
  methods: { Charge: { timeoutMs: 2_000, retries: { attempts: 1 } } },
};
const TEXT = JSON.stringify(GOOD);

const changed = (change: object) => JSON.stringify({ ...GOOD, ...change });

test("a good document is taken as it is", () => assert.deepEqual(parsePolicy(TEXT), GOOD));

for (const [what, text] of [
  ["nothing", ""],
  ["blanks", " \n"],
  ["null", "null"],
  ["an array", "[]"],
  ["no JSON", "timeoutMs: 5"],
  ["a byte order mark", `\uFEFF${TEXT}`],
  ["UTF-16 read as UTF-8", Buffer.from(TEXT, "utf16le").toString()],
  ["a comment", `/* fast */${TEXT}`],
  ["a trailing comma", '{"schemaVersion":1,}'],
  ["NaN", '{"schemaVersion":1,"timeoutMs":NaN}'],
  ["a number over every bound", '{"schemaVersion":1,"timeoutMs":1e309}'],
  ["a key twice", '{"schemaVersion":1,"timeoutMs":50,"timeoutMs":60}'],
  ["a key twice within", '{"schemaVersion":1,"retries":{"attempts":1,"attempts":2}}'],
  ["__proto__", '{"schemaVersion":1,"__proto__":{"timeoutMs":1}}'],
  ["constructor", '{"schemaVersion":1,"constructor":{}}'],
  ["depth 17", `{"schemaVersion":1,"x":${"[".repeat(17)}${"]".repeat(17)}}`],
  ["depth 10000", `{"x":${"[".repeat(10_000)}${"]".repeat(10_000)}}`],
  ["64 KiB and one", JSON.stringify({ schemaVersion: 1, x: "x".repeat(65_536) })],
  ["a million keys", `{${Array.from({ length: 100_000 }, (_, index) => `"k${index}":1`).join()}}`],
] as const)
  test(`${what} is no document`, () => {
    assert.throws(() => parsePolicy(text), { kind: "invalid", reason: "DOCUMENT_INVALID" });
  });

for (const [field, change] of [
  ["schemaVersion", { schemaVersion: undefined }],
  ["schemaVersion", { schemaVersion: 2 }],
  ["schemaVersion", { schemaVersion: "1" }],
  ["", { retires: {} }],
  ["server.concurrency.max", { server: { concurrency: { min: 10, max: 5 } } }],
  ["rateLimit.perSecond", { rateLimit: { perSecond: 0, burst: 1 } }],
  ["mirror.share", { mirror: { version: "v3", share: 2 } }],
  ["timeoutMs", { timeoutMs: "5" }],
  ["timeoutMs", { timeoutMs: -1 }],
  ["timeoutMs", { timeoutMs: 0 }],
  ["timeoutMs", { timeoutMs: 1.5 }],
  ["timeoutMs", { timeoutMs: "5 parsecs" }],
  ["timeoutMs", { timeoutMs: 1 }],
  ["retries.attempts", { retries: { attempts: 1_000 } }],
  ["retries.backoffBaseMs", { retries: { backoffBaseMs: 10_000 } }],
  ["retries.backoffMaxMs", { retries: { backoffBaseMs: 1_000, backoffMaxMs: 10 } }],
  ["retries.budgetRatio", { retries: { budgetRatio: 1.01 } }],
  ["retries.perTryTimeoutMs", { retries: { perTryTimeoutMs: 900 } }],
  ["retries", { retries: { budget: 1 } }],
  ["hedging.delayMs", { hedging: { delayMs: 0 } }],
  ["balancing.algorithm", { balancing: { algorithm: "random" } }],
  ["balancing.hashHeader", { balancing: { algorithm: "consistent-hash" } }],
  ["balancing.hashHeader", { balancing: { hashHeader: "grpc-timeout" } }],
  ["balancing.hashHeader", { balancing: { hashHeader: "X-Customer" } }],
  ["ejection.consecutiveFailures", { ejection: { consecutiveFailures: 0 } }],
  ["ejection.successRate", { ejection: { successRate: -0.1 } }],
  ["ejection.maxMs", { ejection: { baseMs: 5_000, maxMs: 100 } }],
  ["limits.inFlight", { limits: { inFlight: 0 } }],
  ["split.weights.v1", { split: { weights: { v1: 101 } } }],
  ["split.weights.v1", { split: { weights: { v1: -1, v2: 101 } } }],
  ["split.weights", { split: { weights: { v1: 50, v2: 49 } } }],
  ["split.weights", { split: { weights: { v1: 0, v2: 0 } } }],
  ["split.weights", { split: { weights: {} } }],
  ["split.weights", { split: { weights: { v1: 99.995, v2: 0.005 } } }],
  ["routes.0", { routes: [{ header: "x", version: "v1" }] }],
  ["routes.0", { routes: [{ header: "x", equals: "a", prefix: "b", version: "v1" }] }],
  ["routes.0", { routes: [{ header: "x", regex: "(a+)+$", version: "v1" }] }],
  ["routes", { routes: Array.from({ length: 21 }, () => GOOD.routes[0]) }],
  ["methods.charge", { methods: { charge: {} } }],
  ["methods.Charge.retries.attempts", { methods: { Charge: { retries: { attempts: 0 } } } }],
] as const)
  test(`${JSON.stringify(change).slice(0, 70)} is refused at ${field || "the document"}`, () => {
    const text = changed(change);
    assert.throws(
      () => parsePolicy(text),
      (error) => {
        assert.ok(error instanceof MeshError);
        assert.equal(error.reason, "POLICY_INVALID");
        assert.ok(
          error.violations.some((violation) => violation.field === field),
          JSON.stringify(error.violations),
        );
        return true;
      },
    );
  });

test("whatever is done to a document, it is taken or refused, and nothing else", () => {
  const random = seeded(11);
  let refused = 0;
  for (let round = 0; round < 3_000; round += 1) {
    const at = Math.floor(random() * TEXT.length);
    const cut = Math.floor(random() * 4);
    const put = String.fromCharCode(32 + Math.floor(random() * 95));
    try {
      parsePolicy(TEXT.slice(0, at) + put + TEXT.slice(at + cut));
    } catch (error) {
      refused += 1;
      assert.ok(error instanceof MeshError && error.kind === "invalid", String(error));
    }
  }
  assert.ok(refused > 2_000);
});

test("without documents everything is built in", () => {
  const policy = policyFor([undefined, undefined], "Charge");
  assert.deepEqual(policy.retries, {
    attempts: 3,
    perTryTimeoutMs: undefined,
    backoffBaseMs: 25,
    backoffMaxMs: 250,
    ratio: 0.2,
    perSecond: 10,
  });
  assert.equal(policy.balancing.algorithm, "least-loaded-of-two");
  assert.equal(policy.timeoutMs, undefined);
});

test("a method's entry comes before its service's, that before the default's, field by field", () => {
  const own = parsePolicy(TEXT);
  const common = parsePolicy(
    JSON.stringify({ schemaVersion: 1, timeoutMs: 50, retries: { attempts: 5, backoffBaseMs: 9 } }),
  );
  const charge = policyFor([own, common], "Charge");
  assert.deepEqual([charge.timeoutMs, charge.retries.attempts], [2_000, 1]);
  assert.deepEqual([charge.retries.perTryTimeoutMs, charge.retries.backoffBaseMs], [200, 9]);
  const refund = policyFor([own, common], "Refund");
  assert.deepEqual([refund.timeoutMs, refund.retries.attempts], [800, 2]);
  assert.equal(policyFor([undefined, common], "Refund").timeoutMs, 50);
});

test("the published JSON Schema is the one that is checked", () => {
  const file = new URL("../policy.schema.json", import.meta.url);
  const published: unknown = JSON.parse(readFileSync(file, "utf8"));
  assert.deepEqual(published, policySchema(), "rewrite packages/mesh/policy.schema.json with `make gen`");
});
