/** Calls and registrations while real etcd processes are killed, frozen and emptied under them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../src/clock.ts";
import { newEtcd, newSystem, skip } from "./etcd-system.ts";
import { eventually } from "./fixtures.ts";

test("a killed etcd fails no call, and what registers once it is back is found", { skip }, async (t) => {
  const { member, kill, endpoints } = await newEtcd(t, 1);
  const { register, isListed, end } = await newSystem(t, endpoints);
  await kill();
  const second = await register("echo-2");
  await eventually("a failed registration", () => second.state.kind === "registering");
  member.start();
  await isListed("echo-1", "echo-2");
  await end();
});

test("an etcd that comes back empty fails no call, and the living register again", { skip }, async (t) => {
  const { member, kill, endpoints, loseDisk } = await newEtcd(t, 1);
  const { isListed, end } = await newSystem(t, endpoints);
  await kill();
  await loseDisk();
  member.start();
  await isListed("echo-1");
  await end();
});

test("an etcd frozen for longer than a lease fails no call, and all is back soon after it thaws", {
  skip,
}, async (t) => {
  const { member, endpoints } = await newEtcd(t, 1);
  const { registrar, isListed, end } = await newSystem(t, endpoints);
  member.freeze();
  await eventually("the loss of the lease", () => registrar.state.kind === "registering");
  await systemClock.sleep(3_000); // Past the lease's end, which nothing but etcd can see.
  const thawedMs = systemClock.nowMs();
  member.thaw();
  await eventually("the registration", () => registrar.state.kind === "registered");
  await isListed("echo-1");
  const tookMs = systemClock.nowMs() - thawedMs;
  assert.ok(tookMs < 5_000, `${tookMs} ms`);
  await end();
});

test("one of three members killed fails no call and holds up no registration", { skip }, async (t) => {
  const { kill, endpoints } = await newEtcd(t, 3);
  const { register, isListed, end } = await newSystem(t, endpoints);
  await kill();
  await register("echo-2");
  await isListed("echo-1", "echo-2");
  await end();
});
