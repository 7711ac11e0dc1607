/** A plain grpc-js server that registers itself: `node server.ts NAME`. Ends on SIGTERM without losing a call. */
import { argv, env } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { systemClock } from "@ordermesh/mesh/clock";
import { connectEtcd } from "@ordermesh/mesh/etcd";
import { Mesh } from "@ordermesh/mesh/mesh";
import { Registry } from "prom-client";
import { GREETER, greeting } from "./greeter.ts";

const { MESH_ETCD_ENDPOINTS = "http://127.0.0.1:2379", EXAMPLE_PREFIX = "/example" } = env;
const instance = argv[2] ?? "greeter-1";

const common = { clock: systemClock, random: Math.random, log: console };
const mesh = new Mesh({
  ...common,
  service: "greeter",
  prefix: EXAMPLE_PREFIX,
  registry: new Registry(),
  connectStore: (metrics) => connectEtcd({ ...common, endpoints: MESH_ETCD_ENDPOINTS.split(","), metrics }),
});

const server = new Server();
const wire = {
  path: `/${GREETER.fullName}/Greet`,
  requestStream: false,
  responseStream: false,
  requestSerialize: (message: { text: string }) => Buffer.from(greeting.encode(message).finish()),
  requestDeserialize: greeting.decode,
  responseSerialize: (message: { text: string }) => Buffer.from(greeting.encode(message).finish()),
  responseDeserialize: greeting.decode,
};
server.addService(
  { greet: wire },
  {
    greet: (call: ServerUnaryCall<{ text: string }, { text: string }>, reply: sendUnaryData<{ text: string }>) =>
      reply(null, { text: `Hello ${call.request.text}, this is ${instance}` }),
  },
);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  const address = `127.0.0.1:${port}`;
  const facts = {
    adminAddress: address,
    version: "v1",
    zone: "",
    weight: 1,
    protocol: "grpc",
    pod: "",
    node: "",
  } as const;
  mesh.registrar.register({ service: "greeter", instance, address, ...facts });
  process.stdout.write(`${instance} serves at ${address}\n`);
});

process.once("SIGTERM", async () => {
  await mesh.registrar.deregister();
  await sleep(500); // Until all clients have learnt it.
  server.tryShutdown(() => void mesh.close().then(() => process.exit(0)));
});
