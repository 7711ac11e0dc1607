import assert from "node:assert/strict";
import { test } from "node:test";
import { anEndpoint } from "../test/fixtures.ts";
import {
  type Balancer,
  type Candidate,
  consistentHash,
  leastLoadedOfTwo,
  MAX_IN_FLIGHT_PER_ENDPOINT,
  preferZone,
  roundRobin,
  subset,
} from "./balancer.ts";
import { EJECTION, EndpointHealth } from "./endpoint-health.ts";
import { seeded } from "./seeded.ts";

const NOW_MS = 100_000;
const random = seeded(7);

function candidate(name: string, fields = {}, bornMs = 0): Candidate & { isFailing: boolean } {
  return { endpoint: anEndpoint(name, fields), isFailing: false, health: new EndpointHealth(bornMs, random) };
}
const up = (name: string) => candidate(name);
const failing = (name: string) => ({ ...candidate(name), isFailing: true });

function picks(balancer: Balancer, count: number, candidates: readonly Candidate[], tried: readonly string[] = []) {
  const addresses = new Set(tried.map((name) => anEndpoint(name).address));
  return Array.from(
    { length: count },
    () => balancer.pick(candidates, { tried: addresses, nowMs: NOW_MS }).endpoint.instance,
  );
}

/** Lets each endpoint answer once in its own time. */
function warmUp(candidates: readonly Candidate[], rttMs: (name: string) => number): void {
  for (const { endpoint, health } of candidates)
    for (let calls = 0; calls < 3; calls += 1) {
      health.begin(NOW_MS);
      health.end("success", rttMs(endpoint.instance), NOW_MS, EJECTION);
    }
}

function shares(chosen: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of chosen) counts[name] = (counts[name] ?? 0) + 1 / chosen.length;
  return counts;
}

test("endpoints are taken in turn", () => {
  assert.deepEqual(picks(roundRobin(0), 6, [up("a"), up("b"), up("c")]).sort(), ["a", "a", "b", "b", "c", "c"]);
});

test("clients that begin at different offsets begin at different endpoints", () => {
  const candidates = [up("a"), up("b"), up("c")];
  const first = [0, 1, 2].flatMap((offset) => picks(roundRobin(offset), 1, candidates));
  assert.deepEqual(first.sort(), ["a", "b", "c"]);
});

for (const [name, make] of [
  ["round robin", () => roundRobin(0)],
  ["least loaded of two", () => leastLoadedOfTwo(random)],
  ["consistent hash without a key", () => consistentHash(roundRobin(0))],
] as const) {
  test(`${name}: failing and tried endpoints are taken only when there is no better one`, () => {
    const rows: [string, Candidate[], string[], string[]][] = [
      ["another is healthy", [up("a"), failing("b")], [], ["a"]],
      ["another was not tried", [up("a"), up("b")], ["a"], ["b"]],
      ["a failing one that was not tried comes before a repetition", [up("a"), failing("b")], ["a"], ["b"]],
      ["all fail", [failing("a"), failing("b")], [], ["a", "b"]],
      ["all were tried", [up("a"), up("b")], ["a", "b"], ["a", "b"]],
      ["there is but one", [failing("a")], ["a"], ["a"]],
    ];
    for (const [title, candidates, tried, expected] of rows)
      assert.deepEqual([...new Set(picks(make(), 40, candidates, tried))].sort(), expected, title);
  });

  test(`${name}: an ejected endpoint and one with its fill of calls are left out`, () => {
    const [ejected, full, good] = [up("ejected"), up("full"), up("good")];
    ejected.health.eject(NOW_MS, EJECTION);
    for (let calls = 0; calls < MAX_IN_FLIGHT_PER_ENDPOINT; calls += 1) full.health.begin(NOW_MS);
    assert.deepEqual([...new Set(picks(make(), 40, [ejected, full, good]))], ["good"]);
    assert.ok(picks(make(), 40, [ejected]).length > 0, "the last one is better than none");
  });

  test(`${name}: no candidate at all is a bug`, () => {
    assert.throws(() => picks(make(), 1, []), RangeError);
  });
}

test("of two, the faster is taken: one of three that is 20 times slower gets next to nothing", () => {
  const candidates = [up("a"), up("b"), up("slow")];
  warmUp(candidates, (name) => (name === "slow" ? 200 : 10));
  const { slow = 0, a = 0, b = 0 } = shares(picks(leastLoadedOfTwo(random), 3_000, candidates));
  assert.ok(slow < 0.01, `slow got ${slow}`);
  assert.ok(Math.abs(a - b) < 0.1, `${a} against ${b}`);
});

test("an endpoint that owes answers and gives none is left within a fraction of a second", () => {
  const candidates = [up("a"), up("frozen")];
  warmUp(candidates, () => 5);
  candidates[1]?.health.begin(NOW_MS - 300);
  assert.ok((shares(picks(leastLoadedOfTwo(random), 500, candidates)).frozen ?? 0) === 0);
});

test("what nobody asked for a while is asked again, however slow it was", () => {
  const candidates = [up("a"), up("slow")];
  warmUp(candidates, (name) => (name === "slow" ? 900 : 1));
  const laterMs = NOW_MS + 6_000;
  candidates[0]?.health.begin(laterMs);
  const { endpoint } = leastLoadedOfTwo(random).pick(candidates, { tried: new Set(), nowMs: laterMs });
  assert.equal(endpoint.instance, "slow");
});

test("weights and a slow start share out the load", () => {
  const rtt = () => 10;
  const heavy = [candidate("light"), candidate("heavy", { weight: 3 })];
  warmUp(heavy, rtt);
  // With equal answers the cheaper of two wins every time; in flight calls are what balances the rest.
  assert.deepEqual(new Set(picks(leastLoadedOfTwo(random), 100, heavy)), new Set(["heavy"]));
  const young = [candidate("old"), candidate("young", {}, NOW_MS - 2_000)];
  warmUp(young, rtt);
  assert.deepEqual(new Set(picks(leastLoadedOfTwo(random), 100, young)), new Set(["old"]));
});

test("a key stays at its endpoint, and when one goes only its own keys move", () => {
  const balancer = consistentHash(roundRobin(0));
  const all = ["a", "b", "c", "d"].map(up);
  const at = (candidates: readonly Candidate[], hashKey: string) =>
    balancer.pick(candidates, { tried: new Set(), nowMs: NOW_MS, hashKey }).endpoint.instance;
  const keys = Array.from({ length: 4_000 }, (_, number) => `key-${number}`);
  const before = keys.map((key) => at(all, key));
  for (const share of Object.values(shares(before))) assert.ok(Math.abs(share - 0.25) < 0.03, `${share}`);
  const after = keys.map((key) => at(all.slice(1), key));
  const moved = keys.filter((_, index) => before[index] !== after[index] && before[index] !== "a");
  assert.deepEqual(moved, []);
});

test("a key's share follows the weight", () => {
  const balancer = consistentHash(roundRobin(0));
  const all = [candidate("a"), candidate("b", { weight: 3 })];
  const chosen = Array.from(
    { length: 4_000 },
    (_, number) => balancer.pick(all, { tried: new Set(), nowMs: NOW_MS, hashKey: `${number}` }).endpoint.instance,
  );
  assert.ok(Math.abs((shares(chosen).b ?? 0) - 0.75) < 0.03);
});

test("the own zone comes first while most of it works", () => {
  const [near, near2, far] = [candidate("near", { zone: "z1" }), candidate("near2", { zone: "z1" }), candidate("far")];
  const names = (zone: string) => preferZone([near, near2, far], zone, NOW_MS).map(({ endpoint }) => endpoint.instance);
  assert.deepEqual(names("z1"), ["near", "near2"]);
  assert.deepEqual(names("elsewhere"), ["near", "near2", "far"]);
  near.isFailing = true;
  assert.deepEqual(names("z1"), ["near", "near2", "far"]);
});

test("of many endpoints a client uses twenty: spread evenly, and nearly the same ones when one goes", () => {
  const endpoints = Array.from({ length: 100 }, (_, number) => anEndpoint(`echo-${number}`));
  assert.equal(subset(endpoints.slice(0, 50), "shop-1").length, 50);
  const counts = new Map<string, number>();
  for (let client = 0; client < 200; client += 1)
    for (const { instance } of subset(endpoints, `shop-${client}`))
      counts.set(instance, (counts.get(instance) ?? 0) + 1);
  assert.equal(counts.size, 100);
  assert.ok(Math.max(...counts.values()) < 40 * 1.7, "an endpoint has 40 clients on average");
  const before = new Set(subset(endpoints, "shop-1"));
  const gone = [...before][0];
  const after = subset(
    endpoints.filter((endpoint) => endpoint !== gone),
    "shop-1",
  );
  assert.equal(after.filter((endpoint) => before.has(endpoint)).length, 19);
});
