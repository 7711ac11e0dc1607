import assert from "node:assert/strict";
import { test } from "node:test";
import { hopeless, type PodFacts, troubles } from "./pods.ts";

const pod = (name: string, status: PodFacts["status"]): PodFacts => ({ metadata: { name }, status });
const waiting = (reason: string, message?: string) => [
  { image: "ordermesh:typo", state: { waiting: { reason, ...(message === undefined ? {} : { message }) } } },
];

test("an image that cannot be had is one sentence, for however many pods", () => {
  const pods = [
    pod("order-1", { containerStatuses: waiting("ErrImagePull") }),
    pod("payment-1", { containerStatuses: waiting("ImagePullBackOff", "Back-off pulling") }),
  ];
  assert.deepEqual(hopeless(pods), [
    "No node can get the image ordermesh:typo: is the tag right, and was it loaded or pushed?",
  ]);
});

test("a secret that an operator has not made yet, or a container that is being made, is waited for", () => {
  const pods = [
    pod("order-1", { containerStatuses: waiting("CreateContainerConfigError", 'secret "order" not found') }),
    pod("payment-1", { containerStatuses: waiting("ContainerCreating") }),
    pod("shipping-1", { containerStatuses: [{ image: "ordermesh:1", state: {} }] }),
  ];
  assert.deepEqual(hopeless(pods), []);
  assert.deepEqual(troubles(pods), ['order-1: CreateContainerConfigError: secret "order" not found']);
});

test("a pod without a node says why", () => {
  const conditions = [{ type: "PodScheduled", status: "False", message: "0/3 nodes have enough memory" }];
  assert.deepEqual(troubles([pod("kafka-0", { conditions })]), ["kafka-0 finds no node: 0/3 nodes have enough memory"]);
});
