import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "./errors.ts";
import { encodeTimeout, FrameReader, failureOf, frame, MAX_MESSAGE_BYTES, refusalOf, resetError } from "./grpc-wire.ts";
import { seeded } from "./seeded.ts";
import { toStatus } from "./status.ts";

test("messages come out as they went in, however their bytes are cut", () => {
  const random = seeded(3);
  const sent = Array.from({ length: 60 }, (_, index) => Buffer.alloc(Math.floor(random() * 300), index));
  const bytes = Buffer.concat(sent.map((message) => frame(message)));
  for (const most of [1, 2, 7, 64, bytes.length]) {
    const reader = new FrameReader();
    const got: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const next = at + 1 + Math.floor(random() * most);
      got.push(...reader.push(bytes.subarray(at, next)));
      at = next;
    }
    assert.deepEqual(got, sent);
    assert.equal(reader.isPartial, false);
  }
});

test("an unfinished message is noticed", () => {
  const reader = new FrameReader();
  assert.deepEqual(reader.push(frame(Buffer.from("abc")).subarray(0, 6)), []);
  assert.equal(reader.isPartial, true);
});

test("a compressed and a too large message are refused before their bytes are there", () => {
  assert.throws(() => new FrameReader().push(Buffer.from([1, 0, 0, 0, 9])), { kind: "internal" });
  const large = Buffer.alloc(5);
  large.writeUInt32BE(MAX_MESSAGE_BYTES + 1, 1);
  assert.throws(() => new FrameReader().push(large), { kind: "exhausted" });
});

for (const [ms, header] of [
  [0.25, "250u"],
  [0.0001, "1u"],
  [1, "1000u"],
  [999.4, "999400u"],
  [1_000, "1000m"],
  [99_999_999, "99999999m"],
  [100_000_000, "100000S"],
  [1e15, "99999999S"],
] as const)
  test(`a time-out of ${ms} ms is sent as ${header}`, () => assert.equal(encodeTimeout(ms), header));

for (const [headers, kind] of [
  [{ ":status": 200, "content-type": "application/grpc" }, undefined],
  [{ ":status": 200, "content-type": "application/grpc+proto" }, undefined],
  [{ ":status": 200, "content-type": "application/grpcish" }, "internal"],
  [{ ":status": 200, "content-type": "text/html" }, "internal"],
  [{ ":status": 404 }, "unimplemented"],
  [{ ":status": 403 }, "forbidden"],
  [{ ":status": 503 }, "unavailable"],
  [{ ":status": 418 }, "internal"],
  [{ ":status": 503, "grpc-status": "5" }, undefined],
] as const)
  test(`headers ${JSON.stringify(headers)} are ${kind ?? "gRPC"}`, () => assert.equal(refusalOf(headers)?.kind, kind));

test("a failure keeps its reason, its violations and its text over the wire", () => {
  const violations = [{ field: "lines[0].quantity", description: "must be positive" }];
  const sent = new MeshError("invalid", "ORDER_INVALID", "größer 100 %", { violations });
  const { code, details, metadata } = toStatus(sent);
  const got = failureOf({
    "grpc-status": String(code),
    "grpc-message": encodeURIComponent(details),
    "grpc-status-details-bin": (metadata.get("grpc-status-details-bin")[0] as Buffer).toString("base64"),
  });
  assert.deepEqual(
    [got?.kind, got?.reason, got?.message, got?.violations],
    ["invalid", "ORDER_INVALID", "größer 100 %", violations],
  );
});

for (const [trailers, kind] of [
  [{ "grpc-status": "0" }, undefined],
  [{ "grpc-status": "14", "grpc-message": "%E0%A4%A" }, "unavailable"],
  [{ "grpc-status": "1" }, "unavailable"],
  [{ "grpc-status": "99" }, "internal"],
  [{ "grpc-status": "zero" }, "internal"],
  [{}, "internal"],
] as const)
  test(`trailers ${JSON.stringify(trailers)} are ${kind ?? "OK"}`, () => assert.equal(failureOf(trailers)?.kind, kind));

for (const [code, kind] of [
  [0, "internal"],
  [2, "internal"],
  [7, "unavailable"],
  [8, "unavailable"],
  [11, "exhausted"],
  [12, "forbidden"],
] as const)
  test(`a stream reset with code ${code} is ${kind}`, () => assert.equal(resetError(code).kind, kind));
