/** gRPC's own services: health from the process's readiness, and reflection for tools where development asks for it. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Server } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";

/** Serves `grpc.health.v1`; the answer is set by calling what is returned. */
export function addHealth(server: Server, services: readonly string[]): (isServing: boolean) => void {
  const health = new HealthImplementation({ "": "NOT_SERVING" });
  health.addToServer(server);
  return (isServing) => {
    for (const service of ["", ...services]) health.setStatus(service, isServing ? "SERVING" : "NOT_SERVING");
  };
}

/** Loaded on demand, as production never uses it. */
export async function addReflection(server: Server): Promise<void> {
  const [{ ReflectionService }, loader] = await Promise.all([import("@grpc/reflection"), import("@grpc/proto-loader")]);
  const descriptors = readFileSync(fileURLToPath(import.meta.resolve("@ordermesh/proto/descriptors")));
  new ReflectionService(loader.loadFileDescriptorSetFromBuffer(descriptors)).addToServer(server);
}
