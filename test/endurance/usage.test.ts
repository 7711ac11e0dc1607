import assert from "node:assert/strict";
import { test } from "node:test";
import { peaksOf, type Summary, samplesOf } from "./usage.ts";

const MIB = 1024 ** 2;

function podOf(name: string, container: string, nanoCores: number, bytes: number, namespace = "shop") {
  const cpu = { usageNanoCores: nanoCores };
  return { podRef: { name, namespace }, containers: [{ name: container, cpu, memory: { workingSetBytes: bytes } }] };
}

test("only containers of the namespace that have figures are samples", () => {
  const summary: Summary = {
    pods: [
      podOf("order-1", "order", 250e6, 100 * MIB),
      podOf("dns-1", "dns", 10e6, 10 * MIB, "kube-system"),
      { podRef: { name: "payment-1", namespace: "shop" }, containers: [{ name: "payment", cpu: {}, memory: {} }] },
      { podRef: { name: "job-1", namespace: "shop" } },
    ],
  };
  assert.deepEqual(samplesOf(summary, "shop"), [
    { pod: "order-1", container: "order", cpuMillis: 250, workingSetMib: 100 },
  ]);
});

test("a container's peak is the highest of all its pods, each figure by itself", () => {
  const samples = [
    { pod: "order-1", container: "order", cpuMillis: 100, workingSetMib: 90 },
    { pod: "order-2", container: "order", cpuMillis: 300, workingSetMib: 60 },
    { pod: "etcd-0", container: "etcd", cpuMillis: 10, workingSetMib: 30 },
  ];
  assert.deepEqual(peaksOf(samples), [
    { container: "etcd", pods: 1, samples: 1, meanCpuMillis: 10, peakCpuMillis: 10, meanMib: 30, peakMib: 30 },
    { container: "order", pods: 2, samples: 2, meanCpuMillis: 200, peakCpuMillis: 300, meanMib: 75, peakMib: 90 },
  ]);
});
