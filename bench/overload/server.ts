/** A server of an overload benchmark that works 2 ms for each call; prints its address. Argument: `with` or `without` admission. */
import { argv } from "node:process";
import { Admission } from "@ordermesh/mesh/admission";
import { systemClock } from "@ordermesh/mesh/clock";
import { createMeshMetrics } from "@ordermesh/mesh/metrics";
import { policyFor } from "@ordermesh/mesh/policy";
import { GrpcServer } from "@ordermesh/runtime/grpc";
import { implement } from "@ordermesh/runtime/grpc-service";
import { createLogger } from "@ordermesh/runtime/log";
import { createMetrics } from "@ordermesh/runtime/metrics";
import { ECHO } from "../mesh/echo.ts";

const WORK_MS = 2;

const metrics = createMetrics();
const common = { clock: systemClock, random: Math.random };
const log = createLogger({ service: "echo", instance: "echo", version: "", level: "silent" });
const policy = policyFor([], "").server;
const admission = new Admission({
  ...common,
  metrics: createMeshMetrics(metrics.registry, systemClock),
  policy: () => policy,
});
const say = async (request: Uint8Array) => {
  const endsMs = performance.now() + WORK_MS;
  while (performance.now() < endsMs);
  return request;
};
const dependencies = { ...common, log, metrics, ...(argv[2] === "with" ? { admission } : {}) };
const server = new GrpcServer([implement(ECHO, { say })], dependencies);
process.stdout.write(`127.0.0.1:${await server.listen("127.0.0.1", 0)}\n`);
