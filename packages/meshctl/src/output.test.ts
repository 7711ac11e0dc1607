import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDuration } from "./duration.ts";
import { changesOf } from "./look-commands.ts";
import { Output, tableOf } from "./output.ts";

test("columns are as wide as their widest cell", () => {
  const rows = [
    { name: "payment", weight: 1 },
    { name: "x", weight: 100 },
  ];
  assert.equal(tableOf(rows), "NAME     WEIGHT\npayment  1\nx        100\n");
});

test("no rows are said in words, or are an empty list", () => {
  const said: string[] = [];
  new Output("table", (text) => said.push(text)).rows([], "Nothing.");
  new Output("json", (text) => said.push(text)).rows([], "Nothing.");
  assert.deepEqual(said, ["Nothing.\n", "[]\n"]);
});

for (const [text, ms] of [
  ["100ms", 100],
  ["1.5s", 1_500],
  ["10m", 600_000],
  ["1h", 3_600_000],
] as const)
  test(`${text} is a duration`, () => assert.equal(parseDuration(text), ms));

for (const text of ["", "5", "-5s", "5 s", "0s", "five", "1d"])
  test(`"${text}" is no duration`, () => assert.throws(() => parseDuration(text), RangeError));

test("changes are what was added, changed and removed", () => {
  const before = new Map([
    ["a", "1"],
    ["b", "1"],
    ["c", "1"],
  ]);
  const after = new Map([
    ["b", "2"],
    ["c", "1"],
    ["d", "1"],
  ]);
  assert.deepEqual(changesOf(before, after), [
    ["changed", "b", "2"],
    ["added", "d", "1"],
    ["removed", "a", ""],
  ]);
});
