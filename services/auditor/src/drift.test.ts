import assert from "node:assert/strict";
import { test } from "node:test";
import { driftOf } from "./drift.ts";

test("where both agree nothing is missing, and that is said for every service", () => {
  const registered = new Map([
    ["order", ["10.0.0.1", "10.0.0.2"]],
    ["payment", ["10.0.0.3"]],
  ]);
  const serving = new Map([
    ["payment", ["10.0.0.3"]],
    ["order", ["10.0.0.2", "10.0.0.1"]],
  ]);
  assert.deepEqual(driftOf(registered, serving), [
    { service: "order", missingIn: "registry", count: 0 },
    { service: "order", missingIn: "kubernetes", count: 0 },
    { service: "payment", missingIn: "registry", count: 0 },
    { service: "payment", missingIn: "kubernetes", count: 0 },
  ]);
});

test("a pod that is not registered and an endpoint without a pod are told apart", () => {
  const drift = driftOf(
    new Map([["order", ["10.0.0.1", "10.0.0.9"]]]),
    new Map([["order", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]]]),
  );
  assert.deepEqual(drift, [
    { service: "order", missingIn: "registry", count: 2 },
    { service: "order", missingIn: "kubernetes", count: 1 },
  ]);
});

test("a service that only one side knows, or that has the address of another, is missing in the other", () => {
  const drift = driftOf(new Map([["payment", ["10.0.0.1"]]]), new Map([["order", ["10.0.0.1"]]]));
  assert.deepEqual(drift, [
    { service: "payment", missingIn: "registry", count: 0 },
    { service: "payment", missingIn: "kubernetes", count: 1 },
    { service: "order", missingIn: "registry", count: 1 },
    { service: "order", missingIn: "kubernetes", count: 0 },
  ]);
});
