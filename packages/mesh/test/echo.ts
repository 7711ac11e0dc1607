/** A service to call in tests, defined by hand and served by a plain grpc-js server: the mesh needs no more than this. */
import {
  Server,
  ServerCredentials,
  type ServerOptions,
  type ServerUnaryCall,
  type ServerWritableStream,
} from "@grpc/grpc-js";
import { type Codec, methodPath } from "../src/service-definition.ts";
import { toStatus } from "../src/status.ts";

export type Echo = { readonly text: string };

const codec: Codec<Echo> = {
  encode: (message) => ({ finish: () => Buffer.from(JSON.stringify(message)) }),
  decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()),
};

const method = { requestType: codec, requestStream: false, responseType: codec } as const;

export const ECHO = {
  name: "EchoService",
  fullName: "mesh.test.v1.EchoService",
  methods: {
    read: { ...method, name: "Read", responseStream: false, options: { idempotencyLevel: "NO_SIDE_EFFECTS" } },
    write: { ...method, name: "Write", responseStream: false, options: {} },
    follow: { ...method, name: "Follow", responseStream: true, options: { idempotencyLevel: "NO_SIDE_EFFECTS" } },
  },
} as const;

export type UnaryCall = ServerUnaryCall<Echo, Echo>;
export type StreamCall = ServerWritableStream<Echo, Echo>;

type Behaviour = {
  /** Answers `Read` and `Write`; echoes the request when absent. */
  readonly answer?: (call: UnaryCall) => Promise<Echo>;
  /** Serves `Follow`. */
  readonly follow?: (call: StreamCall) => void;
  /** 0 for any free one. */
  readonly port?: number;
  /** Of the grpc-js server. */
  readonly options?: ServerOptions;
};

export type EchoServer = { readonly address: string; readonly server: Server };

export async function serveEcho({ answer, follow, port = 0, options = {} }: Behaviour = {}): Promise<EchoServer> {
  const server = new Server(options); // With channelz off, forceShutdown would leave connections open.
  const unary = async (call: UnaryCall, reply: (error: unknown, response?: Echo) => void) => {
    try {
      reply(null, answer === undefined ? call.request : await answer(call));
    } catch (error) {
      reply(toStatus(error));
    }
  };
  const wire = Object.fromEntries(
    Object.entries(ECHO.methods).map(([key, definition]) => [
      key,
      {
        path: methodPath(ECHO, definition),
        requestStream: false,
        responseStream: definition.responseStream,
        requestSerialize: toBytes,
        requestDeserialize: codec.decode,
        responseSerialize: toBytes,
        responseDeserialize: codec.decode,
      },
    ]),
  );
  server.addService(wire, {
    read: unary,
    write: unary,
    follow: follow ?? ((call: StreamCall) => call.end()),
  } as never);
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, at) =>
      error === null ? resolve(at) : reject(error),
    ),
  );
  return { address: `127.0.0.1:${bound}`, server };
}

function toBytes(message: Echo): Buffer {
  return Buffer.from(codec.encode(message).finish());
}
