/** The adapter against a server that speaks as the API server does. */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { KubeConfig } from "@kubernetes/client-node";
import { KubernetesApi } from "../src/api.ts";

type Answer = { readonly status: number; readonly body: unknown };
type Seen = { readonly line: string; readonly type: string | undefined; readonly body: string };

async function withServer(
  answer: (line: string) => Answer,
  work: (api: KubernetesApi, seen: readonly Seen[]) => Promise<void>,
): Promise<void> {
  const seen: Seen[] = [];
  const server = createServer(async (request: IncomingMessage, response) => {
    const body = (await request.setEncoding("utf8").toArray()).join("");
    const line = `${request.method} ${decodeURIComponent(request.url ?? "")}`;
    seen.push({ line, type: request.headers["content-type"], body });
    const { status, body: said } = answer(line);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(said));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const config = new KubeConfig();
  const { port } = server.address() as AddressInfo;
  config.loadFromClusterAndUser(
    { name: "test", server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
    { name: "x" },
  );
  try {
    await work(new KubernetesApi(config, "ordermesh"), seen);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const slice = (component: string, port: string, endpoints: unknown) => ({
  metadata: { name: component, labels: { "app.kubernetes.io/component": component } },
  addressType: "IPv4",
  ports: [{ name: "admin", port: 9090 }, ...(port === "" ? [] : [{ name: port, port: 50051 }])],
  endpoints,
});

test("pods that serve are listed by service that takes calls, but for those that are not ready or on their way out", () =>
  withServer(
    () => ({
      status: 200,
      body: {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSliceList",
        items: [
          slice("order", "grpc", [
            { addresses: ["10.0.0.1"], conditions: { ready: true, serving: true, terminating: false } },
            { addresses: ["10.0.0.2"], conditions: { ready: true, serving: false, terminating: false } },
            { addresses: ["10.0.0.3"], conditions: { ready: false, serving: true, terminating: true } },
          ]),
          slice("payment", "grpc", null),
          slice("storefront", "", [{ addresses: ["10.0.0.4"], conditions: { serving: true } }]),
        ],
      },
    }),
    async (api, seen) => {
      assert.deepEqual(
        [...(await api.servingPods("shop"))],
        [
          ["order", ["10.0.0.1"]],
          ["payment", []],
        ],
      );
      assert.deepEqual(
        seen.map(({ line }) => line),
        [
          "GET /apis/discovery.k8s.io/v1/namespaces/ordermesh/endpointslices?labelSelector=app.kubernetes.io/instance=shop",
        ],
      );
    },
  ));

test("a finalizer is ended by a merge patch, as custom resources know no other", () =>
  withServer(
    () => ({ status: 200, body: {} }),
    async (api, seen) => {
      await api.topics("shop").endFinalizers("orders");
      assert.deepEqual(seen, [
        {
          line: "PATCH /apis/kafka.strimzi.io/v1/namespaces/ordermesh/kafkatopics/orders",
          type: "application/merge-patch+json",
          body: '{"metadata":{"finalizers":null}}',
        },
      ]);
    },
  ));

test("where a kind is not there, there is nothing of it", () =>
  withServer(
    () => ({ status: 404, body: { kind: "Status", message: "the server could not find the requested resource" } }),
    async (api, seen) => {
      assert.deepEqual(await api.experiments().names(), []);
      assert.deepEqual(
        seen.map(({ line }) => line),
        ["GET /apis/chaos.ordermesh.dev/v1alpha1/namespaces/ordermesh/chaosexperiments"],
      );
    },
  ));

test("what the API server forbids is an error", () =>
  withServer(
    () => ({ status: 403, body: { kind: "Status", message: "endpointslices is forbidden" } }),
    async (api) => {
      await assert.rejects(api.servingPods("shop"), /forbidden/);
    },
  ));
