/** Servers replaced one after the other under load, as a rolling restart does it: no call may notice. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { testLog } from "@ordermesh/local/under-test";
import { systemClock } from "@ordermesh/mesh/clock";
import { connectGrpc } from "@ordermesh/mesh/grpc-connection";
import { connectHttp2 } from "@ordermesh/mesh/http2-connection";
import { MemoryStore } from "@ordermesh/mesh/memory-store";
import { Mesh } from "@ordermesh/mesh/mesh";
import { NotificationServiceDefinition } from "@ordermesh/proto/ordermesh/notification/v1/notification";
import { Registry } from "prom-client";
import { GrpcServer } from "../src/grpc.ts";
import { implement } from "../src/grpc-service.ts";
import { createMetrics } from "../src/metrics.ts";

const AT_A_TIME = 50;
const ROUNDS = 3;
const SERVERS = 3;
const HANDLER_MS = 5;
/** What a service waits between leaving the registry and refusing calls; here in memory, where all learn it at once. */
const DRAIN_DELAY_MS = 50;
const options = { log: testLog, clock: systemClock, random: Math.random };

/** Serves as `instance` until `replace` stops it as a service does, and starts the next one. */
class Instance {
  readonly #store: MemoryStore;
  readonly #key: string;
  readonly #name: string;
  #server: GrpcServer | undefined;

  constructor(store: MemoryStore, name: string) {
    this.#store = store;
    this.#name = name;
    this.#key = `/mesh/endpoints/echo/${name}`;
  }

  async start(): Promise<void> {
    const listNotifications = async () => {
      await systemClock.sleep(HANDLER_MS);
      return { notifications: [] };
    };
    const services = [implement(NotificationServiceDefinition, { listNotifications })];
    this.#server = new GrpcServer(services, { ...options, metrics: createMetrics() });
    const address = `127.0.0.1:${await this.#server.listen("127.0.0.1", 0)}`;
    const facts = { adminAddress: address, version: "", zone: "", weight: 1, protocol: "grpc", pod: "", node: "" };
    this.#store.put(this.#key, JSON.stringify({ service: "echo", instance: this.#name, address, ...facts }));
  }

  async stop(): Promise<void> {
    this.#store.delete(this.#key);
    await systemClock.sleep(DRAIN_DELAY_MS);
    await this.#server?.drain();
    this.#server?.close();
  }
}

async function newSystem(t: TestContext, connect: typeof connectHttp2) {
  const store = new MemoryStore(systemClock);
  const instances = Array.from({ length: SERVERS }, (_, index) => new Instance(store, `echo-${index}`));
  for (const instance of instances) await instance.start();
  const mesh = new Mesh({
    ...options,
    connectStore: () => store,
    prefix: "/mesh",
    service: "shop",
    registry: new Registry(),
    connect,
  });
  t.after(async () => {
    await mesh.close();
    for (const instance of instances) await instance.stop();
  });
  return { instances, client: mesh.client(NotificationServiceDefinition, "echo") };
}

for (const [name, connect] of [
  ["http2", connectHttp2],
  ["grpc-js", connectGrpc],
] as const)
  test(`${name}: every server replaced ${ROUNDS} times under load fails no call`, async (t) => {
    const { instances, client } = await newSystem(t, connect);
    let isOver = false;
    let calls = 0;
    const failures: unknown[] = [];
    const callers = Array.from({ length: AT_A_TIME }, async () => {
      while (!isOver) {
        calls += 1;
        await client.listNotifications({ orderId: "one" }).catch((error) => failures.push(error));
      }
    });
    for (let round = 0; round < ROUNDS; round += 1)
      for (const instance of instances) {
        const before = calls;
        await instance.stop();
        await instance.start();
        while (calls < before + AT_A_TIME) await systemClock.sleep(20); // Each replacement meets the whole load.
      }
    isOver = true;
    await Promise.all(callers);
    t.diagnostic(`${calls} calls`);
    assert.deepEqual(failures, []);
    assert.ok(calls > AT_A_TIME * ROUNDS * SERVERS); // As many as it was loaded with, at each stop.
  });
