/** The catalogue of experiments: every file is valid, says where it runs, and stands in the README as it is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ACTION_TYPES } from "@ordermesh/chaos/action";
import { readExperiments } from "@ordermesh/chaos/experiment-file";
import { parse } from "yaml";
import { BUGS } from "../oracle/bugs.ts";
import { listFiles } from "./sources.ts";

const DIR = "k8s/chaos/";
const all = listFiles().filter(({ path }) => path.startsWith(DIR));
const files = all.filter(({ path }) => path.endsWith(".yaml"));
const given = { createdAtMs: 0, uid: (name: string) => name };

test("there are at least 25 experiments, and every action has one", () => {
  const types = new Set(files.flatMap(({ text }) => readExperiments(text, given).map(({ spec }) => spec.action.type)));
  assert.ok(files.length >= 25, `there are ${files.length}`);
  assert.deepEqual([...types].sort(), [...ACTION_TYPES].sort());
});

test("each file is one valid experiment of the file's name, with a description and a check before and after", () => {
  for (const { path, text } of files) {
    const [experiment, second] = readExperiments(text, given);
    assert.equal(`${DIR}${experiment?.name}.yaml`, path);
    assert.equal(second, undefined, `${path} holds one experiment`);
    assert.ok((experiment?.spec.description.length ?? 0) > 40, `${path} says what it expects`);
    const phases = experiment?.spec.steadyState.map((check) => check.phases) ?? [];
    assert.ok(
      phases.some((own) => own.includes("Before") && own.includes("After")),
      `${path} tells a steady state`,
    );
  }
});

test("the README lists every experiment with its row, its first sentence and its back ends", () => {
  const rows = files.map(({ path, text }) => {
    const { metadata, spec } = parse(text);
    const file = path.slice(DIR.length);
    const row = metadata.labels["chaos.ordermesh.dev/catalogue"];
    const backend = metadata.labels["chaos.ordermesh.dev/backend"];
    assert.ok(["any", "cluster", "process"].includes(backend), `${path} is for ${backend}`);
    const [first] = spec.description.split(/(?<=\.) /);
    return `| [${file}](${file}) | ${row} | ${first} | ${backend} |`;
  });
  const listed = all.find(({ path }) => path.endsWith("README.md"))?.text.match(/^\| \[.*$/gm) ?? [];
  assert.deepEqual([...listed].sort(), rows.sort());
});

test("each seeded bug names a file that plants it and an experiment that finds it", () => {
  const texts = new Map(listFiles().map(({ path, text }) => [path, text]));
  for (const { name, entries, experiment, named } of BUGS) {
    for (const entry of Object.values(entries)) {
      const [file = "", argument = ""] = entry.split(" ");
      assert.ok(texts.get(file)?.includes(`"${argument}"`), `${file} plants ${argument}`);
    }
    const text = texts.get(`${DIR}${experiment}.yaml`) ?? "";
    const [found] = readExperiments(text, given);
    const checks = found?.spec.steadyState.map((check) => check.name) ?? [];
    const known = [...(found?.spec.invariants ?? []), ...checks, "NotRecovered"];
    assert.ok(named.length > 0 && named.every((one) => known.includes(one)), `${experiment} can name ${name}`);
  }
  assert.equal(new Set(BUGS.map(({ name }) => name)).size, BUGS.length);
});
