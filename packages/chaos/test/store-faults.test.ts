/** On real etcd: what is put is found by the experiment's uid alone, and healing puts back what was there. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { env } from "node:process";
import { after, test } from "node:test";
import { EtcdDocuments } from "@ordermesh/mesh/etcd-documents";
import { cutRuleOf, ruleOf, StoreFaults } from "../src/store-faults.ts";

const { MESH_ETCD_ENDPOINTS } = env;
const skip = MESH_ETCD_ENDPOINTS === undefined && "MESH_ETCD_ENDPOINTS names no etcd";
const documents = new EtcdDocuments((MESH_ETCD_ENDPOINTS ?? "http://127.0.0.1:1").split(","));
after(() => documents.close());

function fresh() {
  const prefix = `/test/${randomUUID()}`;
  return { prefix, uid: randomUUID(), faults: new StoreFaults(documents, prefix) };
}
async function freshWith(before: Readonly<Record<string, string>>) {
  const made = fresh();
  const puts = Object.fromEntries(Object.entries(before).map(([key, value]) => [made.prefix + key, value]));
  if (Object.keys(puts).length > 0) await documents.write({ puts });
  return made;
}
const values = async (prefix: string) =>
  Object.fromEntries((await documents.list(prefix)).map(({ key, value }) => [key.slice(prefix.length), value]));

test("a rule is put once, and goes", { skip }, async () => {
  const { prefix, uid, faults } = fresh();
  const nowMs = Date.now();
  const rule = ruleOf({ percent: 20, abort: "unavailable" }, "payment", nowMs + 60_000);
  await faults.putRule(uid, 1, rule, nowMs);
  const [first] = await documents.list(`${prefix}/faults/`);
  await faults.putRule(uid, 1, { ...rule, share: 1 }, nowMs);
  assert.deepEqual(await documents.list(`${prefix}/faults/`), [first]);
  assert.equal(JSON.parse(first?.value ?? "").share, 0.2);
  assert.equal(await faults.count(uid), 1);
  assert.equal(await faults.count("another"), 0);
  assert.equal(await faults.heal(uid), 1);
  assert.equal(await faults.heal(uid), 0);
  assert.deepEqual(await values(prefix), {});
});

test("a rule that no mesh would take is not put", { skip }, async () => {
  const { prefix, uid, faults } = fresh();
  const rule = cutRuleOf("Blackhole", "order", "payment", Date.now() + 7_200_000);
  await assert.rejects(faults.putRule(uid, 1, rule, Date.now()), /within an hour/);
  assert.deepEqual(await values(prefix), {});
});

for (const [what, before] of [
  ["the policy that was there comes back", { "/policy/payment": '{"schemaVersion":1,"timeoutMs":1}' }],
  ["where there was no policy there is none again", {}],
] as const)
  test(what, { skip }, async () => {
    const { prefix, uid, faults } = await freshWith(before);
    assert.ok((await faults.putPolicy(uid, "payment", "broken")) !== undefined);
    assert.equal(await faults.putPolicy(uid, "payment", "broken again"), undefined);
    assert.equal((await values(prefix))["/policy/payment"], "broken");
    assert.equal(await faults.heal(uid), 1);
    assert.deepEqual(await values(prefix), before);
  });

for (const [what, before] of [
  ["a policy that was deleted comes back", { "/policy/payment": '{"schemaVersion":1,"timeoutMs":1}' }],
  ["where nothing was to delete, an empty policy comes and goes", {}],
] as const)
  test(what, { skip }, async () => {
    const { prefix, uid, faults } = await freshWith(before);
    await faults.deletePolicy(uid, "payment");
    const deletedAt = await faults.replacedAt(uid, "payment");
    await faults.deletePolicy(uid, "payment");
    assert.equal(await faults.replacedAt(uid, "payment"), deletedAt);
    assert.equal((await values(prefix))["/policy/payment"], undefined);
    assert.equal(await faults.heal(uid), 1);
    assert.deepEqual(await values(prefix), before);
  });

test("a policy that an operator put where one was deleted stays", { skip }, async () => {
  const { prefix, uid, faults } = fresh();
  await documents.write({ puts: { [`${prefix}/policy/payment`]: "before" } });
  await faults.deletePolicy(uid, "payment");
  await documents.write({ puts: { [`${prefix}/policy/payment`]: "theirs" } });
  assert.equal(await faults.heal(uid), 1);
  assert.deepEqual(await values(prefix), { "/policy/payment": "theirs" });
});

test("a policy that an operator put meanwhile stays", { skip }, async () => {
  const { prefix, uid, faults } = fresh();
  await faults.putPolicy(uid, "payment", "ours");
  await documents.write({ puts: { [`${prefix}/policy/payment`]: "theirs" } });
  assert.equal(await faults.heal(uid), 1);
  assert.deepEqual(await values(prefix), { "/policy/payment": "theirs" });
});

test("a policy that is touched keeps its text and gets another revision", { skip }, async () => {
  const { prefix, uid, faults } = fresh();
  await documents.write({ puts: { [`${prefix}/policy/payment`]: "same" } });
  const [one, two] = [await faults.touchPolicy(uid, "payment"), await faults.touchPolicy(uid, "payment")];
  assert.ok(one !== undefined && two !== undefined && two > one);
  assert.equal(await faults.heal(uid), 0);
  assert.deepEqual(await values(prefix), { "/policy/payment": "same" });
});

test("registrations go with their leases", { skip }, async () => {
  const { prefix, faults } = fresh();
  await documents.putFor(`${prefix}/endpoints/payment/a`, "{}", 60);
  await documents.putFor(`${prefix}/endpoints/payment/b`, "{}", 60);
  assert.equal(await faults.isRegistered("payment", "a"), true);
  assert.equal(await faults.revokeLeases("payment", ["a", "none"]), 1);
  assert.equal(await faults.isRegistered("payment", "a"), false);
  assert.equal(await faults.isRegistered("payment", "b"), true);
});
