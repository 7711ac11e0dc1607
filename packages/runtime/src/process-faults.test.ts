import assert from "node:assert/strict";
import { test } from "node:test";
import { breakConnections, stall } from "./process-faults.ts";

for (const [what, body, said] of [
  ["no JSON", "x", /JSON/],
  ["a share of nothing", '{"forMs":5,"share":0}', /share/],
  ["more than two minutes", '{"forMs":120001,"share":1}', /forMs/],
  ["a further field", '{"forMs":5,"share":1,"more":1}', /more/],
] as const)
  test(`a stall is refused for ${what}`, () => assert.throws(() => stall(body), said));

test("ports are numbers of ports", () => {
  assert.throws(() => breakConnections('{"ports":[]}'), /ports/);
  assert.throws(() => breakConnections('{"ports":[70000]}'), /ports/);
  assert.deepEqual(breakConnections('{"ports":[1]}'), { broken: 0 });
});
