import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "@ordermesh/mesh/manual-clock";
import { armFailpoints, FailpointError, failpoint, failpointHits, parseFailpoints } from "./failpoints.ts";
import { isUuid, newId } from "./ids.ts";
import { Lifecycle } from "./lifecycle.ts";
import { createLogger } from "./log.ts";
import { Wakeup } from "./wakeup.ts";

const silent = createLogger({ service: "test", instance: "", version: "", level: "silent" });

test("a process is ready when nothing says otherwise, and says why not", () => {
  const lifecycle = new Lifecycle(new ManualClock(), silent, () => undefined);
  let reason: string | undefined = "no database";
  lifecycle.addReadiness("db", () => reason);
  assert.deepEqual(lifecycle.unreadyReasons(), { db: "no database" });
  reason = undefined;
  assert.deepEqual(lifecycle.unreadyReasons(), {});
});

test("stopping is: not ready, leave, delay, drains together, closes in reverse", async () => {
  const clock = new ManualClock();
  const lifecycle = new Lifecycle(clock, silent, () => undefined);
  const steps: string[] = [];
  const step = (name: string) => async () => void steps.push(name);
  lifecycle.onDrain("a", step("drain a"));
  lifecycle.onDrain("b", step("drain b"));
  lifecycle.onClose("1", step("close 1"));
  lifecycle.onClose("2", step("close 2"));
  const leave = async () => void steps.push(`leave ${JSON.stringify(lifecycle.unreadyReasons())}`);
  const stopped = lifecycle.shutdown({ leave, drainDelayMs: 2_000, drainTimeoutMs: 15_000 });
  await clock.advance(1_999);
  assert.deepEqual(steps, ['leave {"lifecycle":"stopping"}']);
  await clock.advance(1);
  await stopped;
  assert.deepEqual(steps.slice(1), ["drain a", "drain b", "close 2", "close 1"]);
});

test("a drain that hangs is left behind, and a step that fails stops nothing", async () => {
  const clock = new ManualClock();
  const lifecycle = new Lifecycle(clock, silent, () => undefined);
  let isClosed = false;
  lifecycle.onDrain("hangs", () => new Promise(() => undefined));
  lifecycle.onClose("closes", async () => {
    isClosed = true;
  });
  lifecycle.onClose("fails", () => Promise.reject(new Error("broken")));
  const stopped = lifecycle.shutdown({
    leave: () => Promise.reject(new Error("no etcd")),
    drainDelayMs: 0,
    drainTimeoutMs: 1_000,
  });
  await clock.advance(999);
  assert.equal(isClosed, false);
  await clock.advance(1);
  await stopped;
  assert.equal(isClosed, true);
});

test("failpoints cost nothing until they are allowed, then act as often as asked and count", async () => {
  assert.equal(failpoint("test.point"), undefined);
  assert.equal(failpointHits(), undefined);
  armFailpoints("test.point=2*error; other.point=sleep(1)");
  await assert.rejects(async () => await failpoint("test.point"), FailpointError);
  await assert.rejects(async () => await failpoint("test.point"), FailpointError);
  await failpoint("test.point");
  await failpoint("other.point");
  assert.deepEqual(failpointHits(), { "test.point": 3, "other.point": 1 });
  armFailpoints("");
  await failpoint("test.point");
});

for (const bad of ["x", "x=", "x=explode", "x=sleep", "x=sleep(-1)", "x=-1*kill", "1x=kill", "x=kill y=kill"])
  test(`${JSON.stringify(bad)} is no failpoint`, () => assert.throws(() => parseFailpoints(bad), /must be name=/));

test("ids are UUIDs of version 7 that sort by time", () => {
  const ids = [1_000, 2_000, 1_700_000_000_000].map(newId);
  assert.ok(ids.every(isUuid));
  assert.ok(ids.every((id) => id[14] === "7"));
  assert.deepEqual(ids.toSorted(), ids);
  for (const bad of ["", "x", ids[0]?.toUpperCase() ?? "", `${ids[0]}0`, "../../etc/passwd"])
    assert.equal(isUuid(bad), false);
});

test("a wake-up ends a wait, now or the next one", async () => {
  const clock = new ManualClock();
  const wakeup = new Wakeup(clock);
  const { signal } = new AbortController();
  let wakes = 0;
  const wait = async () => {
    await wakeup.wait(1_000, signal);
    wakes += 1;
  };
  const first = wait();
  wakeup.wake();
  await first;
  const second = wait();
  await clock.advance(999);
  assert.equal(wakes, 1);
  await clock.advance(1);
  await second;
  wakeup.wake();
  await wait();
  assert.equal(wakes, 3);
});
