/** The adapter against the real load generator, in its own process, before a shop that can fail. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Workload } from "@ordermesh/chaos/backend";
import { HttpWorkload, WorkloadError } from "@ordermesh/chaos/http-workload";
import { measureMilli } from "@ordermesh/chaos/measure";
import { startFakeShop } from "./fake-shop.ts";

const LOADGEN = fileURLToPath(new URL("../../../services/loadgen/src/main.ts", import.meta.url));
const RUN = { name: "kill-payment.1", ratePerSecond: 50, seed: 3, orders: "Mixed" } as const;

test("orders come at the asked rate, and each second and the whole record can be had", async (t) => {
  const { workload } = await startLoad(t);
  const startedMs = Date.now();
  await workload.start(RUN);
  await workload.start({ ...RUN, ratePerSecond: 5_000 }); // Goes on already: left alone.
  const found = await until(
    () => workload.seconds(RUN.name, { fromMs: startedMs, toMs: Date.now() }),
    (seconds) => seconds.length >= 4,
  );
  const whole = found.slice(1);
  assert.ok(
    whole.every(({ atMs }, index) => atMs === (whole[0]?.atMs ?? 0) + index * 1_000),
    "one row for each second",
  );
  assert.equal(measureMilli("SuccessMilli", whole), 1_000);
  await workload.setRate(RUN.name, 0.1);
  await workload.finish(RUN.name);
  const history = (await workload.history(RUN.name)) ?? [];
  const all = (await workload.seconds(RUN.name, { fromMs: startedMs, toMs: Date.now() })) ?? [];
  // Those that were due in them: on a busy machine some came late.
  const perSecond = all.slice(1, found.length).reduce((sum, { begun }) => sum + begun, 0) / whole.length;
  assert.ok(perSecond > 30 && perSecond < 75, `${perSecond} orders a second`);
  const accepted = history.filter(({ op, phase }) => op === "place" && phase === "ok");
  const counted = all.reduce((sum, second) => sum + second.accepted, 0);
  assert.ok(counted > 0 && counted <= accepted.length, `${counted} in seconds, ${accepted.length} in the record`);
  assert.ok(
    history.every(({ atMs }) => atMs >= startedMs - 1 && atMs <= Date.now() + 1),
    "the record has wall-clock times",
  );
  await workload.finish(RUN.name);
  assert.equal((await workload.history(RUN.name))?.length, history.length, "nothing comes after the end");
});

test("a shop that fails or hangs is seen in its seconds, and an order without an answer is asked for again", async (t) => {
  const { workload, shop } = await startLoad(t);
  await workload.start(RUN);
  const startedMs = Date.now();
  const between = (fromMs: number, toMs: number) => workload.seconds(RUN.name, { fromMs, toMs });
  await until(
    () => between(startedMs, Date.now()),
    (seconds) => seconds.some(({ accepted }) => accepted > 0),
  );
  shop.mode = "broken";
  const brokenMs = Date.now();
  const broken = await until(
    () => between(brokenMs, Date.now()),
    (seconds) => seconds.length >= 3,
  );
  assert.equal(measureMilli("SuccessMilli", broken.slice(1)), 0);
  shop.mode = "hanging";
  const hangingMs = Date.now();
  const hanging = await until(
    () => between(hangingMs, Date.now()),
    (seconds) => seconds.length >= 3,
  );
  assert.ok(hanging.slice(1).every(({ accepted, begun }) => accepted === 0 && begun > 0));
  shop.mode = "ok";
  const okMs = Date.now();
  await until(
    () => between(okMs, Date.now()),
    (seconds) => seconds.some(({ failed, accepted }) => failed === 0 && accepted > 0),
  );
  await workload.finish(RUN.name);
  const history = (await workload.history(RUN.name)) ?? [];
  const answered = Map.groupBy(history, ({ key }) => key);
  const repaired = [...answered.values()].filter(
    (own) => own.some(({ phase }) => phase === "info") && own.some(({ phase }) => phase === "ok"),
  );
  assert.ok(repaired.length > 0, "an order that got no answer at first was acknowledged later");
});

test("plain orders are asked for once each; of mixed ones some are asked for again", async (t) => {
  const { workload, shop } = await startLoad(t);
  const askedAgain = async (run: Parameters<Workload["start"]>[0]) => {
    const before = shop.asked.size;
    await workload.start(run);
    await until(
      async () => [...shop.asked.keys()],
      (keys) => keys.length >= before + 200,
    );
    await workload.finish(run.name);
    return [...shop.asked].filter(([key, times]) => key.startsWith(run.name) && times > 1).length;
  };
  assert.equal(await askedAgain({ ...RUN, name: "plain", ratePerSecond: 200, orders: "Plain" }), 0);
  assert.ok((await askedAgain({ ...RUN, name: "mixed", ratePerSecond: 200 })) > 0);
});

test("one order can be asked for many times at once under one key", async (t) => {
  const { workload, shop } = await startLoad(t);
  await workload.start({ ...RUN, ratePerSecond: 0.1 });
  assert.equal(await workload.repeat(RUN.name, 40), 40);
  assert.deepEqual(
    [...shop.asked.values()].filter((times) => times > 1),
    [40],
  );
  await workload.finish(RUN.name);
  const answers = ((await workload.history(RUN.name)) ?? []).filter(({ key }) => key.includes("-repeat1-"));
  assert.equal(answers.filter(({ phase }) => phase === "invoke").length, 40);
  assert.equal(new Set(answers.flatMap(({ orderId }) => orderId ?? [])).size, 1);
});

test("the record outlives the one who asked; one that its process left behind is lost, and its keys are not used again", async (t) => {
  const { workload, shop, url, child, dir } = await startLoad(t);
  await workload.start(RUN);
  await until(
    async () => [...shop.asked.keys()],
    (keys) => keys.length >= 20,
  );
  const other = new HttpWorkload(url);
  assert.ok(((await other.history(RUN.name)) ?? []).length >= 20, "another caller gets it");
  child.kill("SIGKILL");
  await once(child, "exit");
  await assert.rejects(workload.history(RUN.name), WorkloadError);
  const next = await startLoad(t, { dir, shop });
  const before = shop.asked.size;
  await next.workload.start(RUN);
  assert.equal(await next.workload.history(RUN.name), undefined);
  assert.equal(await next.workload.seconds(RUN.name, { fromMs: 0, toMs: Date.now() }), undefined);
  await next.workload.finish(RUN.name);
  await assert.rejects(next.workload.setRate(RUN.name, 9), /knows no run/);
  assert.ok(shop.asked.size - before < 5, "only requests that were on their way");
});

test("what is refused is a typed error with the reason", async (t) => {
  const { workload } = await startLoad(t);
  await assert.rejects(workload.start({ ...RUN, ratePerSecond: 0 }), /HTTP 400 .*ratePerSecond must be/);
  await assert.rejects(workload.start({ ...RUN, name: "../etc/passwd" }), /HTTP 400 .*name must be/);
  assert.equal(await workload.history("never-started"), undefined);
  await assert.rejects(new HttpWorkload("http://127.0.0.1:1").start(RUN), WorkloadError);
});

type Shop = Awaited<ReturnType<typeof startFakeShop>>;

async function startLoad(t: TestContext, given: { readonly dir?: string; readonly shop?: Shop } = {}) {
  const shop = given.shop ?? (await startFakeShop());
  const dir = given.dir ?? mkdtempSync(join(tmpdir(), "history-"));
  const args = ["--serve", "--port", "0", "--url", shop.url, "--history-dir", dir];
  const child: ChildProcess = spawn(process.execPath, [LOADGEN, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    await shop.close();
    rmSync(dir, { recursive: true, force: true });
  });
  assert.ok(child.stdout);
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  const url = `http://127.0.0.1:${JSON.parse(String(line)).port}`;
  return { workload: new HttpWorkload(url), url, shop, child, dir };
}

/** Asks until what is found is as wanted. The runner's own time limit ends it. */
async function until<T>(find: () => Promise<T | undefined>, isDone: (found: T) => boolean): Promise<T> {
  for (;;) {
    const found = await find();
    if (found !== undefined && isDone(found)) return found;
    await sleep(50);
  }
}
