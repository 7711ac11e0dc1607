/** The last of the cluster's tests: takes the release away and brings it back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { install, untilReady } from "@ordermesh/cluster/cluster";
import { helm, kubectl, RELEASE } from "@ordermesh/cluster/tools";
import { installed, URL_OF_SHOP } from "./harness.ts";

const GONE_MS = 180_000;
const { tag, mode } = await installed();

/** `<kind>/<name>` of all that is in the namespace and was not there before us. */
async function whatIsThere(): Promise<string[]> {
  const kinds = (await kubectl("api-resources", "--namespaced", "--verbs=list,delete", "-o", "name")).split("\n");
  const wanted = kinds.filter((kind) => !/^events|\.metrics\./.test(kind)).join(",");
  const names = await kubectl("get", wanted, "--ignore-not-found", "-o", "name");
  return names
    .split("\n")
    .filter((name) => name !== "" && name !== "configmap/kube-root-ca.crt" && name !== "serviceaccount/default")
    .sort();
}

test("an uninstall leaves the volumes and the secret that opens them, and a later install finds every order", async (t) => {
  const shipTo = { name: "Ada", street: "12 Square", city: "London", postalCode: "SW1Y 4JH", country: "GB" };
  const lines = [{ sku: "MUG-1", quantity: 1 }];
  const body = { email: "ada@example.com", shipTo, lines, paymentToken: "tok_visa" };
  const headers = { "content-type": "application/json", "idempotency-key": `uninstall-${Date.now()}` };
  const placed = await fetch(`${URL_OF_SHOP}/api/orders`, { method: "POST", headers, body: JSON.stringify(body) });
  const { orderId } = (await placed.json()) as { orderId: string };
  assert.ok(placed.ok && orderId);

  await helm("uninstall", RELEASE, "--wait", "--timeout", "4m");
  const volumes = ["etcd", "postgres", ...(mode === "strimzi" ? [] : ["kafka"])];
  const stays = [
    ...volumes.map((part) => `persistentvolumeclaim/data-${RELEASE}-${part}-0`),
    `secret/${RELEASE}-postgres`,
  ].sort();
  const endsMs = performance.now() + GONE_MS;
  let left = await whatIsThere();
  while (left.length > stays.length && performance.now() < endsMs) {
    await sleep(2_000); // Owners are gone; what they own goes after them.
    left = await whatIsThere();
  }
  assert.deepEqual(left, stays);
  t.diagnostic(`left: ${left.join(", ")}`);

  await install(tag, "dev", ["--set", `kafka.mode=${mode}`]);
  await untilReady(() => undefined);
  await helm("test", RELEASE, "--timeout", "2m");
  const answer = await fetch(`${URL_OF_SHOP}/api/orders/${orderId}`);
  assert.equal(answer.status, 200);
});
