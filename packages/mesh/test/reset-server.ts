/** A server that resets streams in the middle of its answer, by frames of its own: Node's would end the stream first. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";

const TYPE = { data: 0, headers: 1, reset: 3, settings: 4 };
const FLAG = { ack: 1, endStream: 1, endHeaders: 4 };
const CANCEL = 8;
const PREFACE_BYTES = 24;
const HEAD_BYTES = 9;

const literal = (text: string) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
const field = (name: string, value: string) => Buffer.concat([Buffer.from([0]), literal(name), literal(value)]);
const OK_HEADERS = Buffer.concat([field(":status", "200"), field("content-type", "application/grpc")]);
const OK_TRAILERS = field("grpc-status", "0");

function frameOf(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Resets its first stream once it has sent `before`, and answers all later ones with `message`. */
export async function serveReset(t: TestContext, before: readonly Buffer[], message: Buffer) {
  const sockets = new Set<Socket>();
  let isFirst = true;
  const answer = (socket: Socket, stream: number) => {
    const data = isFirst ? before : [message];
    socket.write(frameOf(TYPE.headers, FLAG.endHeaders, stream, OK_HEADERS));
    for (const chunk of data) socket.write(frameOf(TYPE.data, 0, stream, chunk));
    const code = Buffer.from([0, 0, 0, CANCEL]);
    socket.write(
      isFirst
        ? frameOf(TYPE.reset, 0, stream, code)
        : frameOf(TYPE.headers, FLAG.endHeaders | FLAG.endStream, stream, OK_TRAILERS),
    );
    isFirst = false;
  };
  const serve = async (socket: Socket) => {
    sockets.add(socket);
    socket.write(frameOf(TYPE.settings, 0, 0));
    for await (const { type, flags, stream } of framesOf(socket)) {
      if (type === TYPE.settings && flags === 0) socket.write(frameOf(TYPE.settings, FLAG.ack, 0));
      // At the end of the request, which comes with its message.
      if (type === TYPE.data && (flags & FLAG.endStream) > 0) answer(socket, stream);
    }
  };
  const server = createServer((socket) => void serve(socket).catch(() => undefined));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, sockets };
}

async function* framesOf(socket: Socket) {
  let rest: Buffer = Buffer.alloc(0);
  let isGreeted = false;
  for await (const chunk of socket) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    if (!isGreeted && rest.length < PREFACE_BYTES) continue;
    if (!isGreeted) rest = rest.subarray(PREFACE_BYTES);
    isGreeted = true;
    while (rest.length >= HEAD_BYTES && rest.length >= HEAD_BYTES + rest.readUIntBE(0, 3)) {
      const [type = 0, flags = 0] = rest.subarray(3, 5);
      yield { type, flags, stream: rest.readUInt32BE(5) };
      rest = rest.subarray(HEAD_BYTES + rest.readUIntBE(0, 3));
    }
  }
}
