/** What the mesh's benchmarks call: 286 bytes there and back, without a codec's cost on either side. */
import type { ServiceDefinition } from "@ordermesh/mesh/service-definition";

export const BODY = Buffer.alloc(286, 7);

const codec = {
  encode: (bytes: Uint8Array) => ({ finish: () => bytes }),
  decode: (bytes: Uint8Array) => bytes,
};

export const ECHO = {
  name: "Echo",
  fullName: "mesh.bench.v1.Echo",
  methods: {
    say: {
      name: "Say",
      requestType: codec,
      requestStream: false,
      responseType: codec,
      responseStream: false,
      options: { idempotencyLevel: "NO_SIDE_EFFECTS" },
    },
  },
} as const satisfies ServiceDefinition;

export const PATH = "/mesh.bench.v1.Echo/Say";
export const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
