import assert from "node:assert/strict";
import { test } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { type ErrorKind, isKind, MeshError } from "./errors.ts";
import { fromStatus, STATUS_BY_KIND, statusName, toStatus } from "./status.ts";

test("every kind of error crosses the wire with its reason, its message and its violations", () => {
  for (const kind of Object.keys(STATUS_BY_KIND) as ErrorKind[]) {
    const violations = [{ field: "lines[0].quantity", description: "must be positive" }];
    const sent = new MeshError(kind, "SOME_REASON", "größer: 100 %", { violations });
    const received = fromStatus(toStatus(sent));
    const { reason, message } = received;
    assert.deepEqual(
      [received.kind, reason, message, received.violations],
      [kind, "SOME_REASON", sent.message, violations],
    );
  }
});

test("anything but a MeshError leaves as INTERNAL without its text", () => {
  for (const bug of [new TypeError("card 4111"), "card 4111", undefined, { code: 5, message: "card 4111" }]) {
    const wire = toStatus(bug);
    assert.equal(wire.code, status.INTERNAL);
    assert.equal(wire.details, "INTERNAL: unexpected error");
    assert.deepEqual(wire.metadata.getMap(), {});
    assert.equal(fromStatus(wire).kind, "internal");
  }
});

test("a status without readable details keeps its kind and gets the transport's reason", () => {
  const broken = new Metadata();
  broken.set("grpc-status-details-bin", Buffer.from([0xff, 0xff, 0xff]));
  for (const metadata of [undefined, new Metadata(), broken]) {
    const error = fromStatus({ code: status.UNAVAILABLE, details: "no route", ...(metadata && { metadata }) });
    assert.deepEqual([error.kind, error.reason, error.message], ["unavailable", "TRANSPORT_UNAVAILABLE", "no route"]);
  }
});

test("a code outside the taxonomy counts as internal", () => {
  for (const code of [status.UNKNOWN, status.DATA_LOSS, status.OUT_OF_RANGE, 99 as status])
    assert.equal(fromStatus({ code, details: "" }).kind, "internal");
});

test("metrics name the status, and a bug is INTERNAL", () => {
  assert.equal(statusName(new MeshError("not-found", "GONE", "gone")), "NOT_FOUND");
  assert.equal(statusName(new RangeError("bug")), "INTERNAL");
});

test("isKind tells kinds apart and is false for bugs", () => {
  const error = new MeshError("conflict", "LOST", "lost");
  assert.equal(isKind(error, "exists", "conflict"), true);
  assert.equal(isKind(error, "exists"), false);
  assert.equal(isKind(new Error("bug"), "conflict"), false);
});
