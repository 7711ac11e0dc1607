import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { abortWith } from "./abort-with.ts";

test("a controller aborts with its parent, and for its reason", () => {
  const parent = new AbortController();
  const { signal } = abortWith(parent.signal);
  assert.equal(signal.aborted, false);
  parent.abort("over");
  assert.equal(signal.reason, "over");
  assert.equal(abortWith(parent.signal).signal.reason, "over");
});

test("one that has aborted by itself leaves its parent as it was", () => {
  const parent = new AbortController();
  const controllers = Array.from({ length: 20 }, () => abortWith(parent.signal));
  assert.equal(getEventListeners(parent.signal, "abort").length, 20);
  for (const controller of controllers) controller.abort();
  assert.deepEqual(getEventListeners(parent.signal, "abort"), []);
  assert.equal(parent.signal.aborted, false);
});

test("without a parent it is a controller as any other", () => {
  const controller = abortWith(undefined);
  controller.abort();
  assert.equal(controller.signal.aborted, true);
});
