/** What the two examples share: a service definition as ts-proto generates it; here by hand, with JSON on the wire. */
import type { Codec } from "@ordermesh/mesh/service-definition";

type Greeting = { readonly text: string };

export const greeting: Codec<Greeting> = {
  encode: (message) => ({ finish: () => Buffer.from(JSON.stringify(message)) }),
  decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()),
};

export const GREETER = {
  name: "Greeter",
  fullName: "example.v1.Greeter",
  methods: {
    greet: {
      name: "Greet",
      requestType: greeting,
      requestStream: false,
      responseType: greeting,
      responseStream: false,
      options: { idempotencyLevel: "NO_SIDE_EFFECTS" },
    },
  },
} as const;
