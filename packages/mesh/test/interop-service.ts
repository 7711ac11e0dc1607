/** The service of gRPC's interoperability tests, as far as these need it, served by plain grpc-js. Messages are JSON with bodies of zeros. */
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import type { Codec } from "../src/service-definition.ts";

export type Message = {
  /** Bytes of the body. */
  readonly size: number;
  /** Sizes of the answers that are wanted. */
  readonly wanted?: readonly number[];
  /** A status instead of an answer. */
  readonly status?: { readonly code: number; readonly details: string };
  readonly sleepMs?: number;
};

const HEAD_BYTES = 1_024;

export const codec: Codec<Message> = {
  encode: (message) => ({
    finish: () => {
      const head = Buffer.alloc(HEAD_BYTES, " ");
      head.write(JSON.stringify(message));
      return Buffer.concat([head, Buffer.alloc(message.size)]);
    },
  }),
  decode: (bytes) => {
    const message: Message = JSON.parse(Buffer.from(bytes.subarray(0, HEAD_BYTES)).toString());
    if (bytes.length !== HEAD_BYTES + message.size) throw new RangeError(`${bytes.length} bytes`);
    return message;
  },
};

const method = { requestType: codec, requestStream: false, responseType: codec } as const;

export const INTEROP = {
  name: "TestService",
  fullName: "grpc.testing.TestService",
  methods: {
    unaryCall: { ...method, name: "UnaryCall", responseStream: false, options: {} },
    streamingOutputCall: { ...method, name: "StreamingOutputCall", responseStream: true, options: {} },
    unimplementedCall: { ...method, name: "UnimplementedCall", responseStream: false, options: {} },
  },
} as const;

const toBytes = (message: Message) => Buffer.from(codec.encode(message).finish());
const wire = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/grpc.testing.TestService/${name}`,
  requestStream,
  responseStream,
  requestSerialize: toBytes,
  requestDeserialize: codec.decode,
  responseSerialize: toBytes,
  responseDeserialize: codec.decode,
});

/** For stubs of grpc-js, and for the server. */
export const WIRE = {
  unaryCall: wire("UnaryCall", false, false),
  streamingOutputCall: wire("StreamingOutputCall", false, true),
  streamingInputCall: wire("StreamingInputCall", true, false),
  fullDuplexCall: wire("FullDuplexCall", true, true),
};

/** What the custom_metadata case sends and wants back. */
export const INITIAL = "x-grpc-test-echo-initial";
export const TRAILING = "x-grpc-test-echo-trailing-bin";

function echoMetadata(call: { metadata: Metadata; sendMetadata(metadata: Metadata): void }): Metadata {
  const [initial, trailing] = [new Metadata(), new Metadata()];
  for (const value of call.metadata.get(INITIAL)) initial.set(INITIAL, value);
  for (const value of call.metadata.get(TRAILING)) trailing.set(TRAILING, value);
  call.sendMetadata(initial);
  return trailing;
}

export async function serveInterop(): Promise<{ server: Server; address: string }> {
  const server = new Server();
  server.addService(WIRE, {
    unaryCall: (call: ServerUnaryCall<Message, Message>, reply: sendUnaryData<Message>) => {
      const { wanted = [], status, sleepMs = 0 } = call.request;
      const trailing = echoMetadata(call);
      if (status !== undefined) reply({ ...status, metadata: trailing });
      else setTimeout(() => reply(null, { size: wanted[0] ?? 0 }, trailing), sleepMs);
    },
    streamingOutputCall: (call: ServerWritableStream<Message, Message>) => {
      for (const size of call.request.wanted ?? []) call.write({ size });
      if (call.request.status !== undefined) call.emit("error", call.request.status);
      else if (call.request.sleepMs === undefined) call.end();
    },
    streamingInputCall: (call: ServerReadableStream<Message, Message>, reply: sendUnaryData<Message>) => {
      let total = 0;
      call.on("data", ({ size }: Message) => {
        total += size;
      });
      call.on("end", () => reply(null, { size: 0, wanted: [total] }));
    },
    fullDuplexCall: (call: ServerDuplexStream<Message, Message>) => {
      const trailing = echoMetadata(call);
      call.on("data", ({ wanted = [], status }: Message) => {
        for (const size of wanted) call.write({ size });
        if (status !== undefined) call.emit("error", status);
      });
      call.on("end", () => call.end(trailing));
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return { server, address: `127.0.0.1:${port}` };
}
