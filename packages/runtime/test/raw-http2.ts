/** An HTTP/2 client that sends what no library would: frames by hand over a socket of one's own. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { TestContext } from "node:test";

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;
/** Error codes of RFC 9113, section 7. */
export const CODE = {
  protocolError: 1,
  internal: 2,
  flowControl: 3,
  refusedStream: 7,
  cancel: 8,
  enhanceYourCalm: 11,
} as const;

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const HEAD_BYTES = 9;

export type Frame = {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
};
export type Field = readonly [name: string, value: string | Buffer];

export function frameOf(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** HPACK without its tables: each field as a literal. */
export function encodeFields(fields: readonly Field[]): Buffer {
  const text = (value: string | Buffer) => {
    const bytes = Buffer.from(value as string);
    return Buffer.concat([lengthOf(bytes.length), bytes]);
  };
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

/** An integer with a prefix of seven bits (RFC 7541, section 5.1). */
function lengthOf(length: number): Buffer {
  if (length < 127) return Buffer.from([length]);
  const bytes = [127];
  let rest = length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export class RawHttp2 {
  readonly socket: Socket;
  /** What came, in its order. */
  readonly frames: Frame[] = [];
  /** Resolves when the connection is over. */
  readonly closed: Promise<unknown>;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => this.#read(chunk));
  }

  /** Connects and greets with `settings`, pairs of identifier and value. */
  static async open(t: TestContext, port: number, settings: readonly (readonly [number, number])[] = []) {
    const raw = await RawHttp2.openSilently(t, port);
    const payload = settings.map(([id, value]) => Buffer.concat([Buffer.from([id >> 8, id & 255]), uint32(value)]));
    raw.send(Buffer.concat([PREFACE, frameOf(FRAME.settings, 0, 0, Buffer.concat(payload))]));
    await raw.until((frame) => frame.type === FRAME.settings && frame.flags === 0);
    raw.send(frameOf(FRAME.settings, FLAG.ack, 0));
    return raw;
  }

  /** Connects and says nothing. */
  static async openSilently(t: TestContext, port: number): Promise<RawHttp2> {
    const socket = connect(port, "127.0.0.1");
    const raw = new RawHttp2(socket);
    t.after(() => socket.destroy());
    await once(socket, "connect");
    return raw;
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames));
  }

  /** The frames of one request; its body is `body`, and without one it stays open. */
  request(stream: number, fields: readonly Field[], body?: Buffer): void {
    const head = frameOf(FRAME.headers, FLAG.endHeaders, stream, encodeFields(fields));
    this.send(...(body === undefined ? [head] : [head, frameOf(FRAME.data, FLAG.endStream, stream, body)]));
  }

  /** Resolves with the first frame that fits, or undefined when the connection ended without one. */
  async until(fits: (frame: Frame) => boolean): Promise<Frame | undefined> {
    for (;;) {
      const found = this.frames.find(fits);
      if (found !== undefined || this.socket.destroyed) return found;
      await Promise.race([once(this.socket, "data").catch(() => undefined), this.closed]);
    }
  }

  /** The error code of what ended the stream: a reset of it, or the connection's GOAWAY. */
  async resetCode(stream: number): Promise<number | undefined> {
    const frame = await this.until(
      ({ type, stream: of }) => type === FRAME.goaway || (type === FRAME.reset && of === stream),
    );
    return frame?.payload.readUInt32BE(frame.type === FRAME.goaway ? 4 : 0);
  }

  /** The error code of the connection's GOAWAY; undefined when it ended without. */
  async goawayCode(): Promise<number | undefined> {
    return (await this.until(({ type }) => type === FRAME.goaway))?.payload.readUInt32BE(4);
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) return;
      const [type = 0, flags = 0] = this.#rest.subarray(3, 5);
      const stream = this.#rest.readUInt32BE(5);
      this.frames.push({ type, flags, stream, payload: this.#rest.subarray(HEAD_BYTES, end) });
      this.#rest = this.#rest.subarray(end);
    }
  }
}
