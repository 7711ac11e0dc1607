/** The command as an operator runs it, against real etcd. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { env } from "node:process";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { EtcdDocuments } from "@ordermesh/mesh/etcd-documents";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const { MESH_ETCD_ENDPOINTS } = env;
const skip = MESH_ETCD_ENDPOINTS === undefined && "MESH_ETCD_ENDPOINTS names no etcd";
const GOOD = { schemaVersion: 1, timeoutMs: 500 };

type Result = { readonly code: number; readonly out: string; readonly said: string };

async function run(args: readonly string[], input = "", etcd = MESH_ETCD_ENDPOINTS ?? ""): Promise<Result> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: { ...env, MESH_ETCD_ENDPOINTS: etcd } });
  let [out, said] = ["", ""];
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  child.stdin.end(input);
  const [code] = await once(child, "close");
  return { code, out, said };
}

/** A prefix of its own, and the command bound to it. */
function newMesh(t: TestContext) {
  const prefix = `/test/${randomUUID()}`;
  const documents = new EtcdDocuments((MESH_ETCD_ENDPOINTS ?? "").split(","));
  t.after(() => documents.close());
  const meshctl = (line: string, input?: unknown) =>
    run([...line.split(" "), "--prefix", prefix], typeof input === "string" ? input : JSON.stringify(input));
  return { prefix, documents, meshctl };
}

test("a policy is set, shown, listed, kept in its history, rolled back and deleted", { skip }, async (t) => {
  const { meshctl } = newMesh(t);
  const first = await meshctl("policy set payment - --output json", GOOD);
  assert.equal(first.code, 0, first.said);
  assert.equal((await meshctl("policy set payment -", { ...GOOD, timeoutMs: 800 })).code, 0);
  assert.deepEqual(JSON.parse((await meshctl("policy get payment")).out), { ...GOOD, timeoutMs: 800 });
  assert.match((await meshctl("policy get")).out, /^SERVICE\s+REVISION\s+SETS\npayment\s+\d+\s+timeoutMs\n$/);
  assert.equal((await meshctl("policy rollback payment")).code, 0);
  assert.deepEqual(JSON.parse((await meshctl("policy get payment")).out), GOOD);
  assert.equal((await meshctl("policy delete payment")).code, 0);
  const gone = await meshctl("policy get payment");
  assert.deepEqual([gone.code, gone.said], [1, "payment has no policy\n"]);
  assert.equal((await meshctl("policy rollback payment --to 2")).code, 0);
  const history = JSON.parse((await meshctl("policy history payment --output json")).out);
  const set = history.map(({ document }: { document: string }) =>
    document === "(deleted)" ? 0 : JSON.parse(document).timeoutMs,
  );
  assert.deepEqual(set, [500, 800, 500, 0, 800]);
  assert.match(history[0].by, /.@./);
});

test("what is not valid is refused with every field's name, and changes nothing", { skip }, async (t) => {
  const { meshctl, documents, prefix } = newMesh(t);
  const bad = { schemaVersion: 1, timeoutMs: 1, retires: {}, retries: { attempts: 99 } };
  const refused = await meshctl("policy set payment -", bad);
  assert.equal(refused.code, 1);
  for (const field of ["timeoutMs", "retires", "retries.attempts"]) assert.match(refused.said, new RegExp(field));
  assert.deepEqual(await documents.list(prefix), []);
  const checked = await meshctl("policy validate -", bad);
  assert.equal(checked.code, 1);
  assert.match(checked.out, /timeoutMs/);
  assert.equal((await meshctl("policy validate -", GOOD)).code, 0);
  assert.equal((await meshctl("policy validate -", "no json")).code, 1);
  assert.equal((await meshctl("policy validate /nowhere.json")).code, 2);
});

test("who is slower is refused, and only 20 entries of history stay", { skip }, async (t) => {
  const { meshctl, documents, prefix } = newMesh(t);
  const revision = JSON.parse((await meshctl("policy set payment - --output json", GOOD)).out).revision;
  assert.equal((await meshctl("policy set payment - --if-revision 0", GOOD)).code, 1);
  assert.equal((await meshctl(`policy set payment - --if-revision ${revision}`, { ...GOOD, timeoutMs: 100 })).code, 0);
  const late = await meshctl(`policy set payment - --if-revision ${revision}`, GOOD);
  assert.match(late.said, /changed meanwhile/);
  for (let number = 3; number <= 25; number += 1)
    await documents.write({
      puts: {
        [`${prefix}/policy-history/payment/${String(number).padStart(8, "0")}`]: JSON.stringify({
          at: "",
          by: "",
          document: "{}",
        }),
      },
    });
  assert.equal((await meshctl("policy set payment -", GOOD)).code, 0);
  const kept = await documents.list(`${prefix}/policy-history/payment/`);
  assert.deepEqual([kept.length, kept.at(-1)?.key.endsWith("/00000026")], [20, true]);
});

test("a fault is added for a while, listed and cleared", { skip }, async (t) => {
  const { meshctl, documents, prefix } = newMesh(t);
  const added = await meshctl("faults add --service payment --share 0.5 --delay 100ms --for 5m --name slow");
  assert.equal(added.code, 0, added.said);
  assert.equal((await meshctl("faults add --service order --abort unavailable --for 1s")).code, 0);
  const [first] = await documents.list(`${prefix}/faults/slow`);
  assert.equal(JSON.parse(first?.value ?? "").delayMs, 100);
  const listed = JSON.parse((await meshctl("faults list --output json")).out);
  assert.deepEqual(listed.map(({ service }: { service: string }) => service).sort(), ["order", "payment"]);
  assert.equal((await meshctl("faults clear nothing")).code, 1);
  assert.equal((await meshctl("faults clear slow")).code, 0);
  assert.equal((await meshctl("faults clear")).code, 0);
  assert.deepEqual(await documents.list(`${prefix}/faults/`), []);
  const bad = await meshctl("faults add --service payment --for 1m");
  assert.deepEqual([bad.code, /delayMs or abort/.test(bad.said)], [1, true]);
  assert.equal((await meshctl("faults add --service payment --delay soon")).code, 2);
  assert.equal((await meshctl("faults add --service payment --delay 1s --for 2h")).code, 1);
});

test("endpoints and their status are shown, and who is behind or silent makes the answer no", { skip }, async (t) => {
  const { meshctl, documents, prefix } = newMesh(t);
  let applied = "0";
  const admin = createServer(
    (_, response) => void response.end(JSON.stringify({ policy: { revision: applied, faults: [] } })),
  );
  admin.listen(0, "127.0.0.1");
  await once(admin, "listening");
  t.after(() => admin.close());
  assert.equal((await meshctl("endpoints")).code, 1);
  const address = `127.0.0.1:${(admin.address() as AddressInfo).port}`;
  const facts = { address: "10.0.0.1:7000", version: "v1", zone: "a", weight: 1, protocol: "grpc", pod: "", node: "" };
  const put = (instance: string, adminAddress: string) =>
    documents.write({
      puts: {
        [`${prefix}/endpoints/payment/${instance}`]: JSON.stringify({
          service: "payment",
          instance,
          adminAddress,
          ...facts,
        }),
      },
    });
  await put("payment-1", address);
  assert.match((await meshctl("endpoints payment")).out, /payment +payment-1 +10\.0\.0\.1:7000 +v1 +a +1 /);
  applied = JSON.parse((await meshctl("policy set payment - --output json", GOOD)).out).revision;
  assert.equal((await meshctl("status")).code, 0);
  await meshctl("policy delete payment");
  const behind = await meshctl("status");
  assert.deepEqual([behind.code, /behind/.test(behind.out)], [1, true]);
  await put("payment-2", "127.0.0.1:9");
  assert.match((await meshctl("status")).out, /no answer from 127\.0\.0\.1:9/);
});

test("changes are seen as they come", { skip }, async (t) => {
  const { meshctl, documents, prefix } = newMesh(t);
  const watching = meshctl("watch policy --for 4s --output json");
  await sleep(1_500);
  await documents.write({ puts: { [`${prefix}/policy/payment`]: JSON.stringify(GOOD) } }); // At once: another process might start too late.
  const { out, code } = await watching;
  const [seen] = out
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  assert.deepEqual([code, seen.change, seen.name], [0, "added", "payment"]);
});

for (const line of [
  "--help",
  "endpoints --help",
  "status --help",
  "watch --help",
  "policy --help",
  "policy set --help",
  "faults --help",
  "faults add --help",
  "completion",
])
  test(`meshctl ${line} helps`, async () => {
    const { code, out } = await run(line.split(" "));
    assert.equal(code, 0);
    assert.match(out, /meshctl/);
  });

for (const line of [
  "",
  "fly",
  "policy",
  "policy set",
  "faults add",
  "endpoints --colour",
  "watch nothing",
  "--output xml endpoints",
])
  test(`"meshctl ${line}" is wrong use`, async () => {
    const { code, said } = await run(line.split(" ").filter(Boolean));
    assert.equal(code, 2, said);
    assert.match(said, /--help/);
  });

test("an etcd that does not answer is named", async () => {
  const { code, said } = await run(["endpoints"], "", "http://127.0.0.1:9");
  assert.deepEqual([code, /127\.0\.0\.1:9: name it with --etcd/.test(said)], [3, true]);
});
