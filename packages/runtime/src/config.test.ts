import assert from "node:assert/strict";
import { test } from "node:test";
import { BASE_SETTINGS, POSTGRES_SETTINGS } from "./base-settings.ts";
import { ConfigError, integer, list, loadConfig, oneOf, renderSettings, text, url } from "./config.ts";

const SETTINGS = {
  name: text("MESH_NAME", "a name"),
  port: integer("MESH_PORT", "a port", { min: 1, max: 65_535, fallback: "80" }),
  level: oneOf("MESH_LEVEL", "a level", ["low", "high"], "low"),
  hosts: list("MESH_HOSTS", "hosts", { fallback: "a,b" }),
  db: url("MESH_DB", "a database", ["postgres:"], { fallback: "", secret: true }),
};

test("values are read, and absent or empty ones are the defaults", () => {
  assert.deepEqual(loadConfig(SETTINGS, { MESH_NAME: "n", MESH_PORT: "", PATH: "/bin" }), {
    name: "n",
    port: 80,
    level: "low",
    hosts: ["a", "b"],
    db: "",
  });
  assert.deepEqual(loadConfig(SETTINGS, { MESH_NAME: "n", MESH_HOSTS: " x , y " }).hosts, ["x", "y"]);
});

test("all problems are told at once, unknown names too, and no secret", () => {
  const env = {
    MESH_PORT: "0",
    MESH_LEVEL: "loud",
    MESH_HOSTS: "a,,b",
    MESH_DB: "mysql://user:hunter2@db",
    MESH_TYPO: "1",
  };
  assert.throws(
    () => loadConfig(SETTINGS, env),
    (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(error.message.split("\n"), [
        "MESH_NAME is required: a name",
        'MESH_PORT: "0" must be a whole number from 1 to 65535',
        'MESH_LEVEL: "loud" must be one of low, high',
        'MESH_HOSTS: "a,,b" must be a list separated by commas without empty items',
        "MESH_DB: its value must be a URL that starts with postgres://",
        "MESH_TYPO is not a setting of this process",
      ]);
      return true;
    },
  );
});

for (const bad of ["", "x", "1.5", "1e3", " 1", "-1", "65536", "٣"])
  test(`${JSON.stringify(bad)} is no port`, () => {
    const settings = { port: integer("MESH_PORT", "a port", { min: 1, max: 65_535 }) };
    assert.throws(() => loadConfig(settings, { MESH_PORT: bad }), /MESH_PORT/);
  });

test("the table of settings shows defaults and marks secrets", () => {
  const table = renderSettings({ ...BASE_SETTINGS, ...POSTGRES_SETTINGS });
  assert.match(table, /\| `MESH_GRPC_PORT` \| `50051` \|/);
  assert.match(table, /\| `MESH_POSTGRES_URL` \| required \| .*; secret \|/);
});
