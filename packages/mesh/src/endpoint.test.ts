import assert from "node:assert/strict";
import { test } from "node:test";
import { anEndpoint } from "../test/fixtures.ts";
import { endpointKey, isAddress, parseEndpoint } from "./endpoint.ts";
import { MeshError } from "./errors.ts";

const endpoint = anEndpoint("echo-1");
const key = endpointKey("/mesh", endpoint);

test("a document is read as it was written, and what it says beyond is ignored", () => {
  assert.equal(key, "/mesh/endpoints/echo/echo-1");
  assert.deepEqual(parseEndpoint(key, JSON.stringify({ ...endpoint, colour: "blue" })), endpoint);
});

test("documents that are not an endpoint are refused without their text", () => {
  const changed = (fields: object) => JSON.stringify({ ...endpoint, ...fields });
  const documents = [
    "",
    "{",
    "null",
    "[]",
    '"secret"',
    "{}",
    changed({ service: undefined }),
    changed({ service: "other" }),
    changed({ instance: "echo-2" }),
    changed({ address: 7000 }),
    changed({ address: "secret" }),
    changed({ address: "0.0.0.0:7000" }),
    changed({ address: "host:0" }),
    changed({ address: "host:70000" }),
    changed({ weight: 0 }),
    changed({ weight: 1.5 }),
    changed({ weight: 101 }),
    changed({ weight: "heavy" }),
    changed({ protocol: "http" }),
    changed({ zone: "z".repeat(300) }),
  ];
  for (const document of documents)
    assert.throws(
      () => parseEndpoint(key, document),
      (error) =>
        error instanceof MeshError &&
        error.kind === "invalid" &&
        error.reason === "ENDPOINT_INVALID" &&
        !error.message.includes("secret"),
      document,
    );
});

test("an address is a host that others can reach, and a port", () => {
  for (const good of ["localhost:1", "10.0.0.7:65535", "order-0.order.svc:7000", "[::1]:80", "[fe80::1]:443"])
    assert.equal(isAddress(good), true, good);
  for (const bad of [
    "localhost",
    ":80",
    "host:",
    "host:080",
    "host:65536",
    "[::]:80",
    "a b:80",
    "-host:80",
    "http://h:80",
  ])
    assert.equal(isAddress(bad), false, bad);
});
