/** As for the ledgers: a good view passes, and each way in which it can be wrong is named by its invariant. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeMesh } from "./mesh-invariants.ts";
import type { InstanceView, MeshView } from "./world.ts";

const POLICY = '{"schemaVersion":1}';
const order: InstanceView = {
  adminAddress: "10.0.0.1:9090",
  isToBeFound: true,
  policyRevision: 7n,
  policies: new Map([["payment", POLICY]]),
  endpoints: ["order/order-1 at 10.0.0.1:8080", "payment/payment-1 at 10.0.0.2:8080"],
};
const payment: InstanceView = { ...order, adminAddress: "10.0.0.2:9090" };
const storefront: InstanceView = { ...order, adminAddress: "10.0.0.3:9090", isToBeFound: false };
const good: MeshView = {
  instances: [order, payment, storefront],
  registered: [
    { name: "order/order-1", address: "10.0.0.1:8080", adminAddress: "10.0.0.1:9090" },
    { name: "payment/payment-1", address: "10.0.0.2:8080", adminAddress: "10.0.0.2:9090" },
  ],
  policyRevision: 5n,
  policies: new Map([["payment", POLICY]]),
};
const withOrder = (change: Partial<InstanceView>): MeshView => ({
  ...good,
  instances: [{ ...order, ...change }, payment, storefront],
});

test("a mesh in which all agree is held, with everything that was looked at", () => {
  assert.deepEqual(
    judgeMesh(good).map(({ id, held, examined }) => [id, held, examined]),
    [
      ["I10", "True", 3],
      ["I11", "True", 5],
    ],
  );
});

test("an instance may still apply the last good document where the stored one is not valid", () => {
  const mesh = { ...good, policies: new Map([["payment", undefined]]) };
  assert.equal(judgeMesh(mesh)[0]?.held, "True");
});

for (const [title, mesh, id, example] of [
  [
    "applies an old revision",
    withOrder({ policyRevision: 4n }),
    "I10",
    "order/order-1 applies revision 4, the last change is 5",
  ],
  [
    "applies another document",
    withOrder({ policies: new Map([["payment", "{}"]]) }),
    "I10",
    "order/order-1 applies another policy of payment",
  ],
  [
    "does not apply a document",
    withOrder({ policies: new Map() }),
    "I10",
    "order/order-1 does not apply the policy of payment",
  ],
  [
    "applies a document that was deleted",
    { ...good, policies: new Map() },
    "I10",
    "order/order-1 applies a policy of payment that is not there any more",
  ],
  [
    "is dead and registered",
    { ...good, instances: [order, storefront] },
    "I11",
    "payment/payment-1 is registered and does not answer",
  ],
  [
    "lives and is not registered",
    {
      ...good,
      instances: good.instances.map((instance) => ({ ...instance, endpoints: ["order/order-1 at 10.0.0.1:8080"] })),
      registered: good.registered.slice(0, 1),
    },
    "I11",
    "the instance at 10.0.0.2:9090 serves and is not registered",
  ],
  [
    "would call one that is gone",
    withOrder({ endpoints: [...order.endpoints, "payment/payment-9 at 10.0.0.9:8080"] }),
    "I11",
    "order/order-1 would call payment/payment-9 at 10.0.0.9:8080, which is not registered",
  ],
  [
    "does not know one that is there",
    withOrder({ endpoints: ["order/order-1 at 10.0.0.1:8080"] }),
    "I11",
    "order/order-1 does not know payment/payment-1 at 10.0.0.2:8080",
  ],
  [
    "would call one where its process was before it was started again",
    withOrder({ endpoints: ["order/order-1 at 10.0.0.1:8080", "payment/payment-1 at 10.0.0.2:7070"] }),
    "I11",
    "order/order-1 would call payment/payment-1 at 10.0.0.2:7070, which is not registered",
  ],
] as const)
  test(`an instance that ${title} violates ${id} and nothing else`, () => {
    const violated = judgeMesh(mesh).filter(({ held }) => held === "False");
    assert.deepEqual(
      violated.map((found) => found.id),
      [id],
    );
    assert.equal(violated[0]?.examples[0], example);
  });

test("what could not be read is unknown, and where nobody looked nothing is found", () => {
  assert.deepEqual(
    judgeMesh("unreadable").map(({ held, examined }) => [held, examined]),
    [
      ["Unknown", 0],
      ["Unknown", 0],
    ],
  );
  assert.deepEqual(judgeMesh(undefined), []);
});
