/** A namespace of pods behind a fake API server, and an instance that answers on its admin port. */
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach } from "node:test";
import type { Action } from "@ordermesh/chaos/action";
import type { InjectContext } from "@ordermesh/chaos/backend";
import { checkSpec } from "@ordermesh/chaos/experiment";
import type { TargetStatus } from "@ordermesh/chaos/status";
import { FakeApiServer } from "@ordermesh/kubernetes/fake-api-server";
import { newKubeApi, pathOf } from "@ordermesh/kubernetes/kube-api";
import { ClusterBackend } from "../src/cluster-backend.ts";
import { clusterFaults } from "../src/faults.ts";
import { Pods } from "../src/pods.ts";

export const UID = "00000000-0000-4000-8000-000000000001";
export const SELECTOR = { "app.kubernetes.io/component": "payment" };

/** Of the test that runs. */
export const world = {
  server: undefined as unknown as FakeApiServer,
  instance: undefined as Server | undefined,
  isLeading: true,
};

beforeEach(async () => {
  world.server = await FakeApiServer.start();
  world.isLeading = true;
});
afterEach(async () => {
  world.instance?.close();
  world.instance?.closeAllConnections();
  world.instance = undefined;
  await world.server.stop();
});

export function backend({ areProcessesOpen = true, hasPolicies = true } = {}): ClusterBackend {
  const api = newKubeApi({ server: world.server.url, authorize: async () => undefined }, 2_000);
  const pods = new Pods(api, "shop");
  const store = { heal: async () => 0, owners: async () => [] } as never;
  const clock = { wallMs: () => Date.now() };
  const none = { workload: undefined as never, kafka: undefined as never };
  const further = { ...none, endConnections: async () => 3, release: {}, areProcessesOpen, hasPolicies, clock };
  return new ClusterBackend({
    ...clusterFaults({ api, namespace: "shop", pods, store, ...further }),
    pods,
    whyNotNow: async () => undefined,
    isLeading: () => world.isLeading,
  });
}

export function contextOf(action: Action, target: object = {}): InjectContext {
  const bounds = {
    selector: { matchLabels: SELECTOR },
    maxTargets: 5,
    maxPercent: 100,
    minHealthyRemaining: 0,
    ...target,
  };
  const checked = checkSpec({ target: bounds, action, durationSeconds: 10, deadlineSeconds: 200 });
  assert.ok("spec" in checked, JSON.stringify(checked));
  const experiment = { name: "one", namespace: "shop", uid: UID };
  return { experiment, spec: checked.spec, expiresAtMs: Date.now() + 40_000 };
}

type Facts = {
  readonly isReady?: boolean;
  readonly port?: number;
  readonly owner?: object;
  readonly labels?: object;
  readonly status?: object;
};

export function putPod(name: string, { isReady = true, port, owner, labels, status }: Facts = {}) {
  return world.server.put(pathOf("v1", "shop", "pods", name), {
    metadata: { labels: { ...SELECTOR, ...labels }, ...(owner === undefined ? {} : { ownerReferences: [owner] }) },
    spec: { nodeName: "kind-worker", containers: [{ ports: [{ name: "admin", containerPort: port ?? 1 }] }] },
    status: {
      phase: "Running",
      podIP: "127.0.0.1",
      conditions: [{ type: "Ready", status: isReady ? "True" : "False" }],
      ...status,
    },
  });
}

export const getPod = (name: string) => world.server.get(pathOf("v1", "shop", "pods", name));
export const deletePod = (name: string) => world.server.delete(pathOf("v1", "shop", "pods", name));

/** Chosen and planned as the loop does it. */
export async function plan(cluster: ClusterBackend, context: InjectContext, round = 1): Promise<TargetStatus[]> {
  const found = await cluster.find(context.spec.target.selector.matchLabels);
  return found.map((pod) => {
    const { kind, name, uid, node } = pod;
    return { kind, name, uid, node, round, state: "Planned", undo: cluster.planUndo(pod, context) };
  });
}

export const injected = (target: TargetStatus): TargetStatus => ({
  ...target,
  state: "Injected",
  injectedAt: new Date().toISOString(),
});

/** An instance's admin server. */
export async function serve(
  answer: (method: string, path: string, body: string) => string | undefined,
): Promise<number> {
  const instance = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const text = answer(request.method ?? "", request.url ?? "", body);
    response.writeHead(text === undefined ? 404 : 200).end(text);
  });
  await new Promise<void>((resolve) => instance.listen(0, "127.0.0.1", () => resolve()));
  world.instance = instance;
  return (instance.address() as AddressInfo).port;
}
