/** Calls the greeter ten times a second, wherever it runs, and says who answered: `node client.ts [CALLS]`. */
import { argv, env } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "@ordermesh/mesh/clock";
import { connectEtcd } from "@ordermesh/mesh/etcd";
import { Mesh } from "@ordermesh/mesh/mesh";
import { Registry } from "prom-client";
import { GREETER } from "./greeter.ts";

const { MESH_ETCD_ENDPOINTS = "http://127.0.0.1:2379", EXAMPLE_PREFIX = "/example" } = env;

const common = { clock: systemClock, random: Math.random, log: console };
const mesh = new Mesh({
  ...common,
  service: "example-client",
  prefix: EXAMPLE_PREFIX,
  registry: new Registry(),
  connectStore: (metrics) => connectEtcd({ ...common, endpoints: MESH_ETCD_ENDPOINTS.split(","), metrics }),
});
const greeter = mesh.client(GREETER, "greeter", 5_000);

for (let call = 0; call < Number(argv[2] ?? 10); call += 1) {
  const { text } = await greeter.greet({ text: "world" });
  process.stdout.write(`${text}\n`);
  await sleep(100);
}
await mesh.close();
