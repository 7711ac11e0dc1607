/** Rules about the tree that no linter knows: what must be there, what must not, and how long a document may be. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { MEMORY } from "@ordermesh/local/services";
import { POINTS } from "../crash/matrix.ts";
import { listFiles, productionFiles, ROOT } from "./sources.ts";

const files = listFiles();
const paths = new Set(files.map(({ path }) => path));

test("every service has a README, a main and a config", () => {
  const wanted = readdirSync(`${ROOT}services`).flatMap((service) =>
    ["README.md", "src/main.ts", "src/config.ts"].map((file) => `services/${service}/${file}`),
  );
  assert.deepEqual(
    wanted.filter((path) => !paths.has(path)),
    [],
  );
});

test("every package has a README", () => {
  const wanted = readdirSync(`${ROOT}packages`).map((name) => `packages/${name}/README.md`);
  assert.deepEqual(
    wanted.filter((path) => !paths.has(path)),
    [],
  );
});

test("every markdown file has exactly one title", () => {
  const titles = (text: string) => text.replaceAll(/^```[\s\S]*?^```/gm, "").match(/^# /gm)?.length ?? 0;
  const wrong = files.filter(({ path, text }) => path.endsWith(".md") && titles(text) !== 1);
  assert.deepEqual(
    wrong.map(({ path }) => path),
    [],
  );
});

test("no note to do something later lacks an issue number", () => {
  const marker = new RegExp(
    `\\b(${["TO", "FIX"].map((word) => (word === "TO" ? "TODO" : "FIXME")).join("|")})\\b(?!\\(#\\d+\\))`,
  );
  const wrong = files.filter(
    ({ path, text }) => /\.(ts|sql|proto|eta)$/.test(path) && path !== "test/tidy/tree.test.ts" && marker.test(text),
  );
  assert.deepEqual(
    wrong.map(({ path }) => path),
    [],
  );
});

test("services never import services, and packages never import services", () => {
  const names = new Map(
    files.flatMap(({ path, text }) => {
      const folder = /^services\/([^/]+)\/package\.json$/.exec(path)?.[1];
      return folder === undefined ? [] : [[folder, JSON.parse(text).name as string] as const];
    }),
  );
  assert.equal(names.size, readdirSync(`${ROOT}services`).length);
  const wrong = files.flatMap(({ path, text }) => {
    const own = /^services\/([^/]+)\//.exec(path)?.[1];
    if (!/^(services|packages)\/[^/]+\/src\//.test(path)) return [];
    const others = [...names].filter(([folder]) => folder !== own);
    return others.filter(([, name]) => text.includes(`"${name}/`)).map(([, name]) => `${path} imports ${name}`);
  });
  assert.deepEqual(wrong, []);
});

test("packages/mesh knows nothing of orders", () => {
  const wrong = productionFiles(files).filter(
    ({ path, text }) => path.startsWith("packages/mesh/") && /@ordermesh\/(proto\/ordermesh|runtime|events)/.test(text),
  );
  assert.deepEqual(
    wrong.map(({ path }) => path),
    [],
  );
});

test("no production file is dead: each is a main or imported by another", () => {
  const imported = new Set(
    files.flatMap(({ path, text }) =>
      [...text.matchAll(/(?:from|import|import\(|new URL\()\s*"([^"]+\.ts|@ordermesh\/[^"]+)"/g)].map(
        ([, specifier = ""]) => resolve(path, specifier),
      ),
    ),
  );
  const roots = /\/(main|config|smoke)\.ts$/; // smoke is what `helm test` runs.
  const dead = productionFiles(files).filter(({ path }) => !roots.test(path) && !imported.has(path));
  assert.deepEqual(
    dead.map(({ path }) => path),
    [],
  );
});

test("the documents stay short", () => {
  const lines = (path: string) =>
    files
      .find((file) => file.path === path)
      ?.text.trimEnd()
      .split("\n").length ?? Number.POSITIVE_INFINITY;
  assert.ok(lines("README.md") <= 150, `README.md has ${lines("README.md")} lines, the limit is 150`);
  assert.ok(lines("ARCHITECTURE.md") <= 300, `ARCHITECTURE.md has ${lines("ARCHITECTURE.md")} lines, the limit is 300`);
});

test("processes and the image have the same options for memory", () => {
  const dockerfile = (files.find(({ path }) => path === "Dockerfile")?.text ?? "").replaceAll(/ \\\n +/g, " ");
  const started = [...dockerfile.matchAll(/^ENTRYPOINT (.+)$/gm)].map(([, argv = ""]) => JSON.parse(argv));
  const bound = MEMORY.args.filter((arg) => arg.startsWith("--max-heap-size=")); // In a container its limit is the bound.
  const args = MEMORY.args.filter((arg) => !bound.includes(arg));
  const watched = ["--watch", "--watch-preserve-output"];
  assert.deepEqual(started, [
    ["node", ...args],
    ["node", ...watched, ...args],
  ]);
  assert.ok(
    dockerfile.includes(`node ${args.join(" ")} $service/src/main.ts`),
    "compiled with other options than it runs with",
  );
  const env = Object.entries(MEMORY.env).map((entry) => entry.join("="));
  assert.match(dockerfile, new RegExp(`^ENV ${env.join(" ")}$`, "m"));
});

test("every runtime dependency beyond the given six has a decision record", () => {
  const given = new Set(["@grpc/grpc-js", "kafkajs", "etcd3", "@kubernetes/client-node", "prom-client", "pino"]);
  const records = files
    .filter(({ path }) => path.startsWith("docs/decisions/"))
    .map(({ text }) => text)
    .join("\n");
  const manifests = files.filter(({ path }) => /^(proto|packages\/[^/]+|services\/[^/]+)\/package\.json$/.test(path));
  const names = manifests.flatMap(({ text }) => Object.keys(JSON.parse(text).dependencies ?? {}));
  const missing = [...new Set(names)].filter(
    (name) => !name.startsWith("@ordermesh/") && !given.has(name) && !records.includes(`\`${name}\``),
  );
  assert.deepEqual(missing, []);
});

function resolve(from: string, specifier: string): string {
  const inPackage = /^@ordermesh\/([^/]+)\/(.+)$/.exec(specifier);
  if (inPackage === null) return new URL(specifier, `file:///${from}`).pathname.slice(1);
  const [, name = "", file = ""] = inPackage;
  return paths.has(`packages/${name}/src/${file}.ts`)
    ? `packages/${name}/src/${file}.ts`
    : `services/${name}/src/${file}.ts`;
}

test("the crash matrix makes exactly the failpoints that the code names", () => {
  const named = productionFiles(files).flatMap(({ text }) => [
    ...text.matchAll(
      /(?:failpoint\(|: )"((?:order|saga|inventory|payment|shipping|notification|relay|consumer)\.[a-zA-Z]+)"/g,
    ),
  ]);
  const inCode = new Set(named.map(([, name]) => name));
  assert.deepEqual([...new Set(POINTS.map(({ point }) => point))].sort(), [...inCode].sort());
});
