/** What etcd itself goes through, on one of the test's own: the shared one is needed by others. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import { type TestContext, test } from "node:test";
import type { InjectContext } from "@ordermesh/chaos/backend";
import { compactionFault, spaceAlarmFault } from "@ordermesh/chaos/etcd-faults";
import { checkSpec } from "@ordermesh/chaos/experiment";
import type { Fault } from "@ordermesh/chaos/fault";
import type { TargetStatus } from "@ordermesh/chaos/status";
import { StoreFaults } from "@ordermesh/chaos/store-faults";
import { prepareEtcd } from "@ordermesh/local/etcd";
import { startPart } from "@ordermesh/local/parts";
import { silent } from "@ordermesh/local/progress";
import { chooseSources, findTools } from "@ordermesh/local/sources";
import { ROOT } from "@ordermesh/local/system";
import { EtcdDocuments } from "@ordermesh/mesh/etcd-documents";

const { PATH = "" } = env;
const CACHE = join(ROOT, ".cache");
const source = chooseSources(findTools({ PATH }, CACHE)).etcd;
const skip = source.kind === "missing" && source.sentence;

const TARGET = { name: "payment-1", uid: "1", round: 1, state: "Injected" } as unknown as TargetStatus;

async function newStore(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), "chaos-etcd-"));
  const etcd = await prepareEtcd({
    dataDir: join(root, "data"),
    logDir: root,
    cacheDir: CACHE,
    source,
    progress: silent,
    nodes: 1,
    env: { PATH },
  });
  await startPart(etcd);
  const documents = new EtcdDocuments([etcd.address]);
  t.after(async () => {
    documents.close();
    await Promise.all(etcd.processes.map((member) => member.stop(5_000)));
    rmSync(root, { recursive: true });
  });
  return { documents, store: new StoreFaults(documents) };
}

function contextOf(action: object): InjectContext {
  const selector = { matchLabels: { "app.kubernetes.io/component": "payment" } };
  const target = { selector, maxTargets: 1, maxPercent: 100, minHealthyRemaining: 0 };
  const checked = checkSpec({ target, action, durationSeconds: 10, deadlineSeconds: 200 });
  assert.ok("spec" in checked, JSON.stringify(checked));
  const experiment = { name: "one", namespace: "shop", uid: randomUUID() };
  return { experiment, spec: checked.spec, expiresAtMs: Date.now() + 40_000 };
}

test("with its alarm etcd takes no writes, until the experiment is healed", { skip }, async (t) => {
  const { documents, store } = await newStore(t);
  const [fault, context] = [spaceAlarmFault(store), contextOf({ type: "SpaceAlarm", spaceAlarm: {} })];
  const { uid } = context.experiment;
  assert.equal((await fault.evidence([TARGET], context)).observed, 0);
  await fault.inject(TARGET, context);
  await fault.inject(TARGET, context);
  await assert.rejects(documents.write({ puts: { "/order": "1" } }), ({ cause }: Error) => /space/.test(String(cause)));
  assert.deepEqual(await fault.evidence([TARGET], context), {
    expected: 1,
    observed: 1,
    detail: "a write was refused",
  });
  assert.equal(await fault.isHealed(TARGET, context), false);
  assert.deepEqual(await store.owners(), [uid]);
  await assert.rejects(store.raiseAlarm(randomUUID()), /takes no writes already/);
  await fault.heal(TARGET, context);
  assert.equal(await fault.isHealed(TARGET, context), true);
  assert.deepEqual(await store.owners(), []);
  await documents.write({ puts: { "/order": "1" } });
});

test("an alarm that is not the experiment's stays", { skip }, async (t) => {
  const { documents, store } = await newStore(t);
  await documents.setSpaceAlarm(true);
  const uid = randomUUID();
  await assert.rejects(store.raiseAlarm(uid), /takes no writes already/);
  assert.equal(await store.heal(uid), 0);
  assert.equal(await documents.hasSpaceAlarm(), true);
});

test("history is forgotten once all targets are cut off, and nothing is left of it", { skip }, async (t) => {
  const { documents, store } = await newStore(t);
  const admin = createServer((_request, response) => response.end("mesh_policy_applied_revision 1\n")).listen(0);
  await once(admin, "listening");
  t.after(() => admin.close());
  const adminUrl = `http://127.0.0.1:${(admin.address() as AddressInfo).port}`;
  const done: string[] = [];
  const cutOff = { expected: 1, observed: 0, detail: "0 of 1" };
  const cut: Fault = {
    inject: async (_target, { spec }) => void done.push(JSON.stringify(spec.action)),
    heal: async () => void done.push("healed"),
    isHealed: async () => done.includes("healed"),
    evidence: async () => ({ ...cutOff }),
  };
  const context = contextOf({ type: "Compaction", compaction: { changes: 120 } });
  const fault = compactionFault({ cut, store, instances: async () => [{ name: TARGET.name, adminUrl }] });
  await fault.inject(TARGET, context);
  assert.deepEqual(done, ['{"type":"Partition","partition":{"peer":"etcd","mode":"Reset"}}']);
  assert.match((await fault.evidence([TARGET], context)).detail, /not cut off yet/);
  assert.deepEqual(await documents.list("/"), []);
  cutOff.observed = 1;
  for (const look of ["first", "second"]) {
    const { observed, detail } = await fault.evidence([TARGET], context);
    // One change put the policy and its backup; the first revision of etcd is 2.
    assert.deepEqual([observed, /not seen revision (\d+)/.exec(detail)?.[1]], [1, "122"], look);
  }
  await assert.rejects(documents.compact(121n), ({ cause }: Error) => /compacted/.test(String(cause)));
  await fault.heal(TARGET, context);
  assert.equal(await fault.isHealed(TARGET, context), true);
  assert.deepEqual(await documents.list("/"), []);
});
