import assert from "node:assert/strict";
import { test } from "node:test";
import { type ErrorKind, MeshError } from "@ordermesh/mesh/errors";
import { toProblem } from "./problems.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";

test("every kind of failure has its HTTP status", () => {
  const statuses: Record<ErrorKind, number> = {
    invalid: 400,
    "not-found": 404,
    exists: 409,
    exhausted: 429,
    unavailable: 503,
    conflict: 409,
    precondition: 409,
    forbidden: 403,
    cancelled: 499,
    deadline: 504,
    unimplemented: 501,
    internal: 500,
  };
  for (const [kind, status] of Object.entries(statuses))
    assert.equal(toProblem(new MeshError(kind as ErrorKind, "SOME_REASON", "so it is"), TRACE).status, status, kind);
});

test("a problem names its reason, its trace and the fields in the words of the JSON", () => {
  const violations = [
    { field: "ship_to.postal_code", description: "must be 1 to 20 printable characters" },
    { field: "lines[0].sku", description: "is no product" },
    { field: "idempotency_key", description: "was used" },
  ];
  assert.deepEqual(
    toProblem(new MeshError("invalid", "ORDER_INVALID", "the order is not valid", { violations }), TRACE),
    {
      type: "/problems/order-invalid",
      title: "The request is not valid",
      status: 400,
      detail: "the order is not valid",
      reason: "ORDER_INVALID",
      violations: [
        { field: "shipTo.postalCode", description: "must be 1 to 20 printable characters" },
        { field: "lines[0].sku", description: "is no product" },
        { field: "Idempotency-Key", description: "was used" },
      ],
      traceId: TRACE,
    },
  );
});

test("what nobody expected shows nothing of itself", () => {
  const thrown = [
    new Error("password=hunter2"),
    "a string",
    undefined,
    new MeshError("internal", "TRANSPORT_INTERNAL", "password=hunter2"),
    Object.assign(new Error("password=hunter2"), { statusCode: 500 }),
  ];
  for (const error of thrown) {
    const problem = toProblem(error, TRACE);
    assert.deepEqual([problem.status, problem.reason], [500, "INTERNAL"]);
    assert.doesNotMatch(JSON.stringify(problem), /hunter2/);
  }
});

test("a problem does not say what lies behind the shop", () => {
  const kinds = ["unavailable", "deadline", "cancelled", "conflict", "unimplemented"] as const;
  for (const kind of kinds) {
    const problem = toProblem(new MeshError(kind, "TRANSPORT_X", "connect ECONNREFUSED 10.1.2.3:50051"), TRACE);
    assert.equal(problem.reason, "TRANSPORT_X");
    assert.doesNotMatch(JSON.stringify(problem), /10\.1\.2\.3|ECONN/, kind);
  }
});

test("a problem lists 20 violations at most", () => {
  const violations = Array.from({ length: 500 }, (_, index) => ({ field: `lines[${index}]`, description: "is wrong" }));
  const problem = toProblem(new MeshError("invalid", "ORDER_INVALID", "the order is not valid", { violations }), TRACE);
  assert.equal(problem.violations?.length, 20);
});
